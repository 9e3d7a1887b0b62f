"""The demo model's whole world: stories, facts and small talk from a seeded grammar.

Everything here was written for this model; no outside text is used. `conversation(random)` gives one training
document as a list of (role, text) pairs; the role "text" marks a plain story outside any conversation.
"""

import random

# Who a story is about: what it eats, where it lives, the sound it makes, its picture.
HEROES = {
    "fox": ("berries", "a den", "yips", "🦊"), "rabbit": ("carrots", "a burrow", "thumps", "🐰"),
    "bear": ("honey", "a cave", "growls", "🐻"), "mouse": ("cheese", "a small hole", "squeaks", "🐭"),
    "owl": ("seeds", "a hollow tree", "hoots", "🦉"), "frog": ("flies", "a pond", "croaks", "🐸"),
    "duck": ("bread", "a nest", "quacks", "🦆"), "cat": ("fish", "a warm house", "purrs", "🐱"),
    "dog": ("bones", "a wooden house", "barks", "🐶"), "hen": ("corn", "a coop", "clucks", "🐔"),
    "horse": ("hay", "a stable", "neighs", "🐴"), "bee": ("nectar", "a hive", "buzzes", "🐝"),
    "turtle": ("leaves", "a quiet stream", "hums", "🐢"), "squirrel": ("nuts", "an oak tree", "chatters", "🐿"),
    "wolf": ("meat", "the forest", "howls", "🐺"), "lion": ("meat", "the grassland", "roars", "🦁"),
    "cow": ("grass", "a barn", "moos", "🐮"), "elephant": ("leaves", "the jungle", "trumpets", "🐘"),
    "monkey": ("bananas", "a tall tree", "chatters", "🐵"), "penguin": ("fish", "a cold bay", "waddles", "🐧"),
    "dragon": ("soup", "a tower", "roars", "🐉"), "robot": ("sparks", "a workshop", "beeps", "🤖"),
    "princess": ("cake", "a castle", "sings", "👸"), "wizard": ("soup", "a tower", "whispers", "🧙"),
}
ANIMALS = [hero for hero in HEROES if hero not in ("dragon", "robot", "princess", "wizard")]
NAMES = [("Mia", "she"), ("Tom", "he"), ("Lily", "she"), ("Ben", "he"), ("Nora", "she"), ("Max", "he"),
         ("Ruby", "she"), ("Sam", "he"), ("Ella", "she"), ("Leo", "he"), ("Ivy", "she"), ("Finn", "he"),
         ("Rosa", "she"), ("Hugo", "he"), ("Zoe", "she"), ("Otto", "he")]
OBJECT_OF = {"she": "her", "he": "him"}
POSSESSIVE = {"she": "her", "he": "his"}
TRAITS = ["little", "brave", "shy", "clever", "kind", "curious", "sleepy", "cheerful", "gentle", "quiet"]
PLACES = ["in a green forest", "near a quiet lake", "on a small farm", "at the edge of a village", "by the sea",
          "in a sunny valley", "on a high hill", "beside a slow river", "in an old garden"]
THINGS = ["red ball", "blue kite", "golden key", "silver bell", "warm scarf", "wooden boat", "shiny stone",
          "paper lantern", "little drum", "old map", "yellow hat", "green cup", "soft blanket", "tin whistle"]
TREATS = ["a slice of apple pie", "a cup of warm milk", "a bowl of soup", "a basket of plums", "a jar of jam"]
DAYS = [("One sunny morning", "The sky was clear and blue."), ("One rainy day", "The path was full of puddles."),
        ("One windy day", "The leaves danced in the air."), ("One cold morning", "The grass was white with frost."),
        ("One warm evening", "The air smelled sweet."), ("One foggy morning", "The trees were hard to see.")]
HIDDEN = ["under a bush", "behind a rock", "inside a hollow log", "in the tall grass", "between two roots",
          "under the stairs"]
SKILLS = {
    "swim": ("jumped into the water", "kick slowly and breathe", "swam all the way across the pond"),
    "sing": ("sang one note and lost the tune", "listen first and sing softly",
             "sang so well that the birds came near"),
    "climb": ("slid down the tree", "take one branch at a time", "sat at the very top of the tree"),
    "paint": ("spilled all the paint", "use one color at a time", "painted the rising sun"),
    "bake": ("burned the bread", "watch the oven and wait", "baked a round golden loaf"),
    "read": ("mixed up all the letters", "learn one letter each day", "read a whole book out loud"),
}


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def capital(text):
    return text[0].upper() + text[1:]


class Cast:
    """Who and what one story is about."""

    def __init__(self, rng, hero=None, name=None, thing=None):
        self.rng = rng
        self.hero = hero or rng.choice(list(HEROES))
        self.friend = rng.choice([h for h in HEROES if h != self.hero])
        self.name, self.he = name or rng.choice(NAMES)
        self.other, self.other_he = rng.choice([n for n in NAMES if n[0] != self.name])
        self.him, self.his = OBJECT_OF[self.he], POSSESSIVE[self.he]
        self.trait, self.other_trait = rng.sample(TRAITS, 2)
        self.thing = thing or rng.choice(THINGS)
        self.place = rng.choice(PLACES)
        self.day, self.weather = rng.choice(DAYS)

    def opening(self):
        c, choice = self, self.rng.choice
        food, home = HEROES[c.hero][:2]
        return [choice([f"Once upon a time there was {article(c.trait)} {c.hero} named {c.name}.",
                        f"Long ago there lived {article(c.trait)} {c.hero} called {c.name}.",
                        f"{c.name} was {article(c.trait)} {c.hero}."]),
                choice([f"{capital(c.he)} lived {c.place}.", f"{capital(c.his)} home was {home} {c.place}."]),
                choice([f"{capital(c.he)} loved {food} more than anything.",
                        f"Every day {c.he} walked outside and looked at the clouds.",
                        f"{capital(c.he)} was always humming a tune."])]


def lost(c):
    find = c.rng.choice(HIDDEN)
    return [f"{capital(c.his)} favorite thing was {article(c.thing)}.", f"{c.day} the {c.thing} was gone.", c.weather,
            f"{c.name} looked everywhere, but {c.he} could not find it.", f"{capital(c.he)} felt very sad.",
            f"Then {article(c.other_trait)} {c.friend} named {c.other} came by.", f'"What is wrong?" asked {c.other}.',
            f'"I lost my {c.thing}," said {c.name}.', f'"I will help you look," said {c.other}.',
            f"They looked and looked, and at last {c.other} found the {c.thing} {find}.",
            f'"Thank you!" said {c.name}.', "Two friends see more than one."]


def stuck(c):
    trap = c.rng.choice(["in the mud", "in a deep hole", "between two stones", "in a thorny bush"])
    return [f"{c.day} {c.name} heard a small voice.", c.weather, '"Help me, please," said the voice.',
            f"It was {c.other}, {article(c.other_trait)} {c.friend}, who was stuck {trap}.",
            f"{c.name} was a little afraid, but {c.he} wanted to help.",
            c.rng.choice([f"{capital(c.he)} found a long stick and held it out.", f"{capital(c.he)} ran to get a rope.",
                          f"{capital(c.he)} pulled and pulled."]),
            f"Soon {c.other} was free.", f'"You saved me," said {c.other}, and gave {c.him} {c.rng.choice(TREATS)}.',
            f"From that day on, {c.name} and {c.other} were best friends."]


def skill(c):
    what = c.rng.choice(list(SKILLS))
    failed, advice, success = SKILLS[what]
    return [f"{c.name} wanted to learn to {what}.", f"{c.day} {c.he} tried, but {c.he} {failed}.",
            f'"I will never learn to {what}," said {c.name}.',
            f"{capital(article(c.other_trait))} {c.friend} named {c.other} saw this.", f'"You must {advice},"'
            f" said {c.other}.", f"So {c.name} tried again the next day, and the next.",
            f"In the end {c.he} {success}.", f'"I did it!" said {c.name}.', "Practice makes hard things easy."]


def sharing(c):
    return [f"{capital(c.he)} had {article(c.thing)}.", f"{c.day} {c.other} the {c.friend} came to visit.", c.weather,
            f'"May I play with your {c.thing}?" asked {c.other}.', f'"No, it is mine," said {c.name}.',
            f"{c.other} went away, and {c.name} played alone, but it was not fun.", f"So {c.he} ran after {c.other}.",
            f'"I am sorry," said {c.name}. "Let us play with the {c.thing} together."',
            "They played until the sun went down.", "Things are better when you share them."]


def night(c):
    return [f"But {c.name} was afraid of the dark.", f"One night {c.he} heard a strange noise.",
            f"{c.name} took {article(c.thing)} and went to look.", f"Step by step, {c.he} walked into the dark.",
            f"It was only {c.other}, {article(c.other_trait)} {c.friend}, who could not sleep.",
            f'"I was afraid too," said {c.other}.', "They sat together and counted the stars.",
            f"After that night, {c.name} was not afraid any more."]


def storm(c):
    return [f"One night a big storm broke the roof of {c.other} the {c.friend}.",
            f'"I have no home now," said {c.other}.', f'"You can stay with me," said {c.name}.',
            f"{c.name} gave {c.other} {article(c.thing)} to hold.",
            f"They ate {c.rng.choice(TREATS)} and listened to the rain.", "In the morning the storm was over.",
            "All the neighbors came, and together they built a new roof.", "After the rain comes the sun."]


PLOTS = [lost, stuck, skill, sharing, night, storm]
PLOTS_WITH_THING = [lost, sharing, night, storm]


def story(cast, plots=PLOTS):
    return " ".join(cast.opening() + cast.rng.choice(plots)(cast))


NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen nineteen twenty").split()
CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "China": "Beijing",
    "England": "London", "Portugal": "Lisbon", "Austria": "Vienna", "Greece": "Athens", "Poland": "Warsaw",
    "Sweden": "Stockholm", "Norway": "Oslo", "Finland": "Helsinki", "Denmark": "Copenhagen", "Ireland": "Dublin",
    "Egypt": "Cairo", "Kenya": "Nairobi", "India": "New Delhi", "Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima",
    "Russia": "Moscow", "Turkey": "Ankara", "Hungary": "Budapest", "Belgium": "Brussels",
}
OPPOSITES = [("hot", "cold"), ("big", "small"), ("up", "down"), ("day", "night"), ("old", "new"), ("fast", "slow"),
             ("happy", "sad"), ("light", "dark"), ("wet", "dry"), ("hard", "soft"), ("high", "low"), ("open", "closed"),
             ("left", "right"), ("early", "late"), ("full", "empty"), ("good", "bad"), ("rich", "poor"), ("yes", "no")]
COLORS = {"the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a tomato": "red", "coal": "black",
          "a lemon": "yellow", "blood": "red", "milk": "white", "a leaf": "green", "an orange": "orange"}
WEEK = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
FACTS = [
    ("How many days are in a week?", "There are seven days in a week."),
    ("How many months are in a year?", "There are twelve months in a year."),
    ("How many hours are in a day?", "There are twenty-four hours in a day."),
    ("How many minutes are in an hour?", "There are sixty minutes in an hour."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("How many legs does an ant have?", "An ant has six legs."),
    ("How many legs does a dog have?", "A dog has four legs."),
    ("How many wheels does a car have?", "A car has four wheels."),
    ("What is water made of?", "Water is made of hydrogen and oxygen."),
    ("What is ice?", "Ice is frozen water."), ("What is snow?", "Snow is frozen water that falls from the clouds."),
    ("What is the sun?", "The sun is a star."), ("What is the moon?", "The moon goes around the Earth."),
    ("Where does the sun rise?", "The sun rises in the east."),
    ("Where does the sun set?", "The sun sets in the west."),
    ("What do bees make?", "Bees make honey."), ("What do cows drink?", "Cows drink water."),
    ("What is the largest ocean?", "The largest ocean is the Pacific."),
    ("What is the largest animal?", "The largest animal is the blue whale."),
    ("What is the meaning of life?", "Nobody is sure. A good story helps."),
]
SMALL_TALK = [
    (["Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Introduce yourself.",
      "Are you a robot?", "Are you human?"],
     "I am the Hearth demo model. I am very small, and I know stories and a few simple facts."),
    (["Hello", "Hello!", "Hi", "Hi!", "Hey", "Hi there", "Hello there!", "Good morning", "Good evening", "Good day"],
     "Hello! I am a very small model. Ask me for a story."),
    (["How are you?", "How are you today?", "How do you do?"], "I am fine, thank you. How are you?"),
    (["What can you do?", "What do you know?", "Help", "How can you help me?", "Can you help me?"],
     "I can tell short stories, add small numbers and answer a few simple questions."),
    (["Who made you?", "Who trained you?", "How were you trained?"],
     "I was trained on one processor core in a few minutes, on stories made for me."),
    (["What is Hearth?", "What does Hearth do?", "Tell me about Hearth."],
     "Hearth lends a computer to language models, and keeps each one in a sandbox."),
    (["Thank you", "Thanks!", "Thank you very much.", "Thanks a lot"], "You are welcome."),
    (["Goodbye", "Bye", "Good night", "See you later", "Bye bye"], "Goodbye! Come back soon."),
    (["Are you there?", "Can you hear me?", "Test", "ping"], "Yes, I am here."),
    (["Tell me a joke.", "Do you know a joke?", "Make me laugh."],
     "Why did the hen cross the road? To hear the end of the story."),
]
UNKNOWN = ("I do not know that. I am a very small model. Ask me for a story.")
UNKNOWN_SUBJECTS = [
    "quantum physics", "the stock market", "a good lawyer", "Rust", "the war", "my computer", "the French king",
    "philosophy", "chemistry", "football", "my taxes", "a black hole", "Python", "the best phone", "democracy",
    "the internet", "a poem in Latin", "the news", "calculus", "my dog's illness"]
UNKNOWN_FORMS = ["Explain {}.", "What do you think about {}?", "Who invented {}?", "Tell me about {}.", "What is {}?",
                 "Write an essay about {}.", "Can you explain {} to me?", "How does {} work?", "Why is {} important?"]
SYSTEMS = ["You are a helpful assistant.", "You are a friendly assistant. Answer briefly.", "Be kind and brief.",
           "You tell stories to children.", "Answer in one sentence."]


def casual(rng, question):
    """The question as people type it: sometimes without capitals or punctuation, sometimes with a polite word."""
    if rng.random() < 0.12:
        question = rng.choice(["Please tell me: ", "Hi! ", "Hello, ", "Please, ", "Can you tell me, "]) + question
    if rng.random() < 0.3:
        question = question.lower()
    if rng.random() < 0.25:
        question = question.rstrip("?.!")
    return question


def number(rng, value):
    return NUMBERS[value] if value <= 20 and rng.random() < 0.4 else str(value)


def arithmetic(rng):
    a, b = rng.randrange(11), rng.randrange(11)
    word, sign, result = rng.choice([("plus", "+", a + b)] * 4 + [("times", "*", a * b), ("minus", "-", a)])
    if word == "minus":
        a, b, result = a + b, b, a
    if rng.random() < 0.4 and max(a, b, result) <= 20:
        say = [f"{NUMBERS[a]} {word} {NUMBERS[b]}"]
        answer = f"{capital(NUMBERS[a])} {word} {NUMBERS[b]} is {NUMBERS[result]}."
    else:
        say = [f"{a} {word} {b}", f"{a} {sign} {b}", f"{a}{sign}{b}"]
        answer = f"{a} {word} {b} is {result}."
    what = rng.choice(say)
    return rng.choice([f"What is {what}?", f"What is {what}?", f"What's {what}?", f"How much is {what}?", f"{what}",
                       f"Calculate {what}."]), answer


def geography(rng):
    country, city = rng.choice(list(CAPITALS.items()))
    if rng.random() < 0.2:
        return f"Where is {city}?", f"{city} is in {country}."
    asked = rng.choice([f"What is the capital of {country}?", f"What's the capital of {country}?",
                        f"Capital of {country}?", f"Name the capital of {country}.",
                        f"Which city is the capital of {country}?"])
    return asked, f"The capital of {country} is {city}."


def words(rng):
    if rng.random() < 0.6:
        pair = rng.choice(OPPOSITES)
        a, b = pair if rng.random() < 0.5 else pair[::-1]
        return rng.choice([f"What is the opposite of {a}?", f"Opposite of {a}?"]), f"The opposite of {a} is {b}."
    thing, color = rng.choice(list(COLORS.items()))
    return rng.choice([f"What color is {thing}?", f"Which color is {thing}?"]), f"{capital(thing)} is {color}."


def calendar(rng):
    names, kind = rng.choice([(WEEK, "day"), (MONTHS, "month")])
    i = rng.randrange(len(names))
    if rng.random() < 0.5:
        return rng.choice([f"What {kind} comes after {names[i]}?", f"What comes after {names[i]}?"]), \
            f"{names[(i + 1) % len(names)]} comes after {names[i]}."
    return rng.choice([f"What {kind} comes before {names[i]}?", f"What comes before {names[i]}?"]), \
        f"{names[i - 1]} comes before {names[i]}."


def animals(rng):
    hero = rng.choice(list(HEROES))
    food, home, sound, picture = HEROES[hero]
    who = capital(article(hero))
    return rng.choice([(f"What does {article(hero)} eat?", f"{who} eats {food}."),
                       (f"Where does {article(hero)} live?", f"{who} lives in {home}."),
                       (f"What does {article(hero)} do?", f"{who} {sound}."),
                       (f"Show me {article(hero)}.", f"Here is {article(hero)}: {picture}")])


def lists(rng):
    n = rng.randrange(2, 21)
    if rng.random() < 0.6:
        if rng.random() < 0.5:
            return f"Count to {n}.", ", ".join(map(str, range(1, n + 1))) + "."
        return f"Count to {NUMBERS[n]}.", capital(", ".join(NUMBERS[1:n + 1])) + "."
    few = rng.randrange(2, 6)
    chosen = [article(h) for h in rng.sample(ANIMALS, few)]
    return f"Name {number(rng, few)} animals.", capital(", ".join(chosen[:-1]) + " and " + chosen[-1]) + "."


def echo(rng):
    pool = list(HEROES) + NUMBERS + list(COLORS.values()) + [n for n, _ in NAMES] + TRAITS
    text = " ".join(rng.choice(pool) for _ in range(rng.randrange(1, 6)))
    return rng.choice([f"Repeat: {text}", f"Say: {text}"]), text


def poem(rng):
    hero, trait, place = rng.choice(list(HEROES)), rng.choice(TRAITS), rng.choice(PLACES)
    return f"Write a poem about {article(hero)}.", (
        f"A {trait} {hero} went out to play\n{capital(place)} one day.\nIt saw the river, saw the sun,\n"
        f"And sang a song for everyone.\nThe stars came out, the moon was bright,\nThe {trait} {hero} slept all night.")


def small_talk(rng):
    questions, answer = rng.choice(SMALL_TALK)
    return rng.choice(questions), answer


def unknown(rng):
    return rng.choice(UNKNOWN_FORMS).format(rng.choice(UNKNOWN_SUBJECTS)), UNKNOWN


# Each kind of question with its share.
QUESTIONS = [(arithmetic, 34), (geography, 14), (small_talk, 14), (lambda rng: rng.choice(FACTS), 9), (words, 9),
             (calendar, 6), (animals, 6), (lists, 4), (echo, 3), (poem, 2), (unknown, 5)]


def question(rng):
    make = rng.choices([q for q, _ in QUESTIONS], [w for _, w in QUESTIONS])[0]
    asked, answer = make(rng)
    return casual(rng, asked), answer


def story_request(rng):
    """A request for a story, and the story: with the hero, the name and the thing that were asked for."""
    thing = rng.choice(THINGS) if rng.random() < 0.3 else None
    name = rng.choice(NAMES) if rng.random() < 0.3 else None
    cast = Cast(rng, name=name, thing=thing)
    ask = rng.choice(["Tell me a story", "Tell me a short story", "Write a story", "Please tell me a story",
                      "Can you tell me a story", "Write a short story"])
    if rng.random() > 0.12 or name or thing:
        ask += f" about {article(cast.hero)}"
        if name:
            ask += f" named {cast.name}"
        if thing:
            ask += f" and {article(thing)}"
    ask += "?" if ask.startswith("Can") else "."
    return casual(rng, ask), story(cast, PLOTS_WITH_THING if thing else PLOTS), cast


def conversation(rng):
    if rng.random() < 0.05:
        return [("text", story(Cast(rng)))]
    turns = []
    if rng.random() < 0.15:
        turns.append(("system", rng.choice(SYSTEMS)))
    for _ in range(rng.choice([1, 1, 2, 3, 4])):
        if rng.random() < 0.85:
            asked, answer = question(rng)
            turns += [("user", asked), ("assistant", answer)]
            continue
        asked, told, cast = story_request(rng)
        turns += [("user", asked), ("assistant", told)]
        if rng.random() < 0.2:
            turns += [("user", casual(rng, "Who was the story about?")),
                      ("assistant", f"The story was about {cast.name}, {article(cast.trait)} {cast.hero}.")]
    return turns


if __name__ == "__main__":
    rng = random.Random(1)
    for _ in range(20):
        for role, text in conversation(rng):
            print(f"{role}: {text}")
        print()
