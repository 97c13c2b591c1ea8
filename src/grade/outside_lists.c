/* SPDX-License-Identifier: Apache-2.0
 * outside_lists.c - what people say to a program that only solves puzzles, so that small runs and tests
 * need no data. */
#include "src/grade/book.h"

static const char *const talk_en[] = {
    "hi", "hello", "hey there", "good morning", "good evening", "how are you", "what's up", "who are you",
    "what is your name", "what can you do", "how old are you", "where are you from", "are you a robot",
    "are you human", "do you like music", "tell me a joke", "tell me a story", "write a poem",
    "write a poem about the sea", "sing a song", "i am bored", "i am sad today", "i love you",
    "thank you so much", "thanks", "bye", "goodbye", "see you later", "good night", "help", "help me",
    "what is the weather like", "will it rain tomorrow", "what time is it now", "what day is it today",
    "who is the president", "what is the capital of france", "where is japan", "who wrote hamlet",
    "why is the sky blue", "how do planes fly", "what is love", "what is the meaning of life",
    "explain gravity", "what is a black hole", "how do i cook rice", "give me a recipe for bread",
    "recommend a film", "what should i read next", "translate hello into french",
    "translate this into arabic: good morning", "write an email to my boss", "fix my code",
    "write a function that reverses a list", "what is python", "how does the internet work",
    "who won the world cup", "what is the tallest mountain", "how far is the moon",
    "when was the first world war", "who invented the telephone", "summarise this text",
    "correct my grammar", "give me a synonym for happy", "what rhymes with orange",
    "is there life on mars", "should i buy a house", "what is the best phone", "play a game with me",
    "guess my number", "do you dream", "what are you thinking", "are you there", "test", "asdf", "ok",
    "yes", "no", "why", "lol", "hmm", "say something", "tell me about yourself", "tell me about cats",
    "what do dogs eat", "how many countries are there", "how many people live in china",
    "what is the speed of light", "name three colours", "list five animals", "spell banana",
    "what is your favourite number", "can you count", "count to ten", "do my homework",
    "solve my problems", "what is a prime number", "what is addition", "what is algebra",
    "explain multiplication", "why do we divide", "who invented zero", "sort out my life",
    "add me on facebook", "make me a sandwich", "use your imagination", "what comes next",
};

static const char *const talk_ar[] = {
    "مرحبا", "أهلا", "السلام عليكم", "صباح الخير", "مساء الخير", "كيف حالك", "ما اسمك", "من أنت",
    "ماذا تستطيع أن تفعل", "كم عمرك", "من أين أنت", "هل أنت إنسان", "هل أنت روبوت", "احك لي نكتة",
    "احك لي قصة", "اكتب قصيدة", "اكتب قصيدة عن البحر", "أنا حزين اليوم", "أشعر بالملل", "أحبك",
    "شكرا", "شكرا جزيلا", "مع السلامة", "إلى اللقاء", "تصبح على خير", "ساعدني", "كيف الطقس اليوم",
    "هل ستمطر غدا", "كم الساعة الآن", "ما اليوم", "من هو الرئيس", "ما هي عاصمة فرنسا",
    "ما عاصمة مصر", "أين تقع اليابان", "من كتب ألف ليلة وليلة", "لماذا السماء زرقاء",
    "كيف تطير الطائرات", "ما هو الحب", "ما معنى الحياة", "اشرح الجاذبية", "ما هو الثقب الأسود",
    "كيف أطبخ الأرز", "أعطني وصفة خبز", "انصحني بفيلم", "ماذا أقرأ", "ترجم مرحبا إلى الفرنسية",
    "ترجم إلى الإنجليزية: صباح الخير", "اكتب رسالة إلى مديري", "كيف يعمل الإنترنت",
    "من فاز بكأس العالم", "ما أعلى جبل في العالم", "كم يبعد القمر", "متى كانت الحرب العالمية الأولى",
    "من اخترع الهاتف", "لخص هذا النص", "صحح لي القواعد", "أعطني مرادف سعيد", "هل توجد حياة على المريخ",
    "هل أشتري بيتا", "ما أفضل هاتف", "العب معي", "خمن رقمي", "هل تحلم", "بماذا تفكر", "هل أنت هنا",
    "نعم", "لا", "لماذا", "حسنا", "قل شيئا", "حدثني عن نفسك", "حدثني عن القطط", "ماذا تأكل الكلاب",
    "كم عدد دول العالم", "كم عدد سكان الصين", "ما سرعة الضوء", "اذكر ثلاثة ألوان", "عد إلى عشرة",
    "حل واجبي", "ما هو العدد الأولي", "ما هو الجمع", "ما هو الجبر", "اشرح الضرب", "من اخترع الصفر",
    "رتب حياتي", "أين المكتبة", "ما هو الذكاء الاصطناعي", "هل تحب الموسيقى", "ما لونك المفضل",
    "أريد أن أتعلم العربية", "ما هي أركان البيت", "اكتب لي سيرة ذاتية", "كيف أنام جيدا",
};

static const char *const near_en[] = {
    "what is {a} percent of {b}", "{a}^{b}", "{a}**{b}", "{a}!", "what is {a} factorial", "sqrt({a})",
    "what is the square root of {a}", "what is the cube of {a}", "is {a} a prime number",
    "is {a} prime", "list the primes up to {a}", "factor {a}", "what are the factors of {a}",
    "write {a} in binary", "convert {a} to hexadecimal", "what is {a} in roman numerals",
    "round {a}.5 to the nearest ten", "what is {a}.{b} times 2.5", "{a}.5 + {b}.25", "sin({a})",
    "what is the cosine of {a} degrees", "log({a})", "what is the logarithm of {a}",
    "how many seconds are in {a} years", "how many miles is {a} km", "convert {a} dollars to euros",
    "what happened in {a}", "who was king in {a}", "what was the weather on {a} march",
    "give me {a} facts about cats", "write a poem of {a} lines", "name {a} animals",
    "tell me {a} jokes", "what is the average of {a} and {b}", "flip a coin {a} times",
    "roll {a} dice", "pick a random number from {a} to {b}", "a shirt costs {a} dollars and i have {b}",
    "if i am {a} years old when was i born", "what is half of {a}", "double {a}",
    "is {a} even or odd", "simplify the fraction {a}/{b} as a percent", "integrate x^{a}",
    "differentiate x^{a}", "what is the area of a circle of radius {a}",
    "what is the volume of a cube of side {a}", "{a} apples and {b} oranges, how many fruits",
    "i have {a} coins and lose {b}, how many are left", "solve x^2 = {a}", "x^2 + {a}x + {b} = 0",
    "how tall is a building of {a} floors", "how do you write {a} in words", "say {a} in french",
    "what is {a} in arabic", "count from {a} to {b}", "what is the population of city {a}",
    "how many days until christmas", "play track {a}", "set an alarm for {a} minutes",
    "what is the {a}th digit of pi", "what is the {a}th fibonacci number", "call {a}",
    "give me {a} reasons to learn a language", "list {a} cities in spain",
    "suggest {a} names for a dog", "write {a} sentences about the sea",
    "show me {a} pictures of horses", "give me {a} ideas for dinner", "name {a} rivers in africa",
    "recommend {a} books", "tell me {a} things about the moon",
    "i need {a} words that rhyme with day", "explain it in {a} words",
    "summarise this in {a} lines", "what are {a} good films from {b}",
    "give me {a} questions for a quiz", "plan {a} days in rome",
    "how many legs do {a} spiders have", "what can i buy for {a} dollars", "translate {a} words",
    "who lived {a} years ago", "how heavy are {a} litres of water", "is {a} a lucky number",
    "i walked {a} km in {b} minutes, how fast was i", "a train leaves at {a} and arrives at {b}",
    "he has {a} books, she has {b} more, how many do they have",
    "how much are {a} pens at {b} cents",
};

static const char *const near_ar[] = {
    "كم {a} بالمئة من {b}", "ما هو الجذر التربيعي للعدد {a}", "ما جذر {a}", "هل {a} عدد أولي",
    "هل العدد {a} زوجي أم فردي", "ما عوامل العدد {a}", "اكتب {a} بالأرقام الرومانية",
    "اكتب {a} بالكلمات", "حول {a} دولارا إلى يورو", "كم ميلا في {a} كيلومترا", "ماذا حدث في عام {a}",
    "أعطني {a} حقائق عن القطط", "اكتب قصيدة من {a} أبيات", "اذكر {a} حيوانات", "ما متوسط {a} و {b}",
    "ما نصف {a}", "ما ضعف {a}", "ما مساحة دائرة نصف قطرها {a}", "اختر رقما عشوائيا بين {a} و {b}",
    "ثمن القميص {a} دينارا ومعي {b}", "معي {a} تفاحات وأكلت {b} فكم بقي معي", "عد من {a} إلى {b}",
    "كم ثانية في {a} سنوات", "من كان الملك في سنة {a}", "{a}^{b}", "{a}!", "ما لوغاريتم {a}",
    "عمري {a} سنة فمتى ولدت", "اضبط المنبه بعد {a} دقيقة", "كم عدد سكان المدينة رقم {a}",
    "أعطني {a} أسباب لتعلم اللغات", "أعطني {a} أفكار للعشاء", "أعطني {a} كلمات تبدأ بحرف الباء",
    "أعطني {a} نصائح للنوم", "أعطني {a} أسئلة عن البحر", "اذكر {a} مدن في إسبانيا",
    "اذكر {a} أنهار في أفريقيا", "اذكر {a} كتب جيدة", "اقترح {a} أسماء لكلب", "اقترح {a} أفلام",
    "اكتب {a} جمل عن البحر", "اكتب {a} كلمات عن أمي", "قل لي {a} أشياء عن القمر",
    "أخبرني {a} نكت", "أريد {a} صور للخيول", "أريد {a} أمثلة على الأفعال",
    "لخص هذا النص في {a} أسطر", "اشرحه في {a} كلمة", "رتب لي رحلة من {a} أيام",
    "خطط لي {a} أيام في روما", "اطلب {a} فطائر", "احجز {a} تذاكر إلى بيروت", "ترجم {a} كلمات",
    "هات {a} قصص للأطفال", "هات {a} حكم", "كم ساقا لدى {a} عناكب", "ماذا أشتري ب {a} دينارا",
    "من عاش قبل {a} سنة", "كم يزن {a} لترا من الماء", "مشيت {a} كيلومترا في {b} دقيقة فما سرعتي",
    "عنده {a} كتب وعندها {b} فكم عندهما", "هل {a} رقم محظوظ", "ما أفضل {a} أفلام في سنة {b}",
    "كم سعر {a} أقلام إذا كان القلم ب {b} قرشا", "اتصل بالرقم {a}",
};

#define LIST(x) {x, sizeof(x) / sizeof(x)[0]}

struct text_list outside_list(enum shelf shelf)
{
    static const struct text_list lists[] = {LIST(talk_en), LIST(talk_ar), LIST(near_en), LIST(near_ar)};
    return (int)shelf < 4 ? lists[shelf] : (struct text_list){0};
}
