"""What words of a wish mean beside themselves: genres, moods, countries, lengths, times, and words that take back.

Small on purpose: each entry is a promise that the page repeats to the viewer, so only plain ones stand here.
"""

from __future__ import annotations

# folded phrase -> genres, as MovieLens and the house name them (folded)
GENRES: dict[str, tuple[str, ...]] = {
    "action": ("action",), "adventure": ("adventure",), "animated": ("animation",), "animation": ("animation",),
    "anime": ("animation",), "cartoon": ("animation",), "children": ("children",), "childrens": ("children",),
    "kid": ("children",), "family": ("children",), "comedy": ("comedy",), "comic": ("comedy",), "funny": ("comedy",),
    "crime": ("crime",), "gangster": ("crime",), "heist": ("crime",), "mafia": ("crime",),
    "documentary": ("documentary",), "drama": ("drama",), "fantasy": ("fantasy",), "film noir": ("film noir",),
    "noir": ("film noir",), "horror": ("horror",), "scary": ("horror",), "musical": ("musical",),
    "mystery": ("mystery",), "whodunit": ("mystery",), "detective": ("mystery", "crime"), "romance": ("romance",),
    "romantic": ("romance",), "romcom": ("romance", "comedy"), "love story": ("romance",), "sci fi": ("sci fi",),
    "scifi": ("sci fi",), "science fiction": ("sci fi",), "space": ("sci fi",), "suspense": ("thriller",),
    "thriller": ("thriller",), "war": ("war",), "western": ("western",), "cowboy": ("western",),
}  # fmt: skip

# folded word -> genres that lean that way, words that say it in a text (stems)
MOODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "violent": (
        ("action", "crime", "horror", "thriller", "war", "western"),
        ("violent", "violence", "murder", "murderer", "kill", "killer", "killed", "blood", "bloody", "brutal",
         "torture", "gun", "shot", "assassin", "massacre"),
    ),
    "gory": ((), ("gore", "blood", "bloody", "zombie", "slasher", "killer", "torture")),
    "sad": (("drama", "war"), ("death", "dying", "grief", "tragedy", "tragic", "loss", "funeral")),
    "cheerful": (("comedy", "musical", "romance", "children"), ()),
    "dark": (("film noir", "crime", "thriller", "horror"), ()),
    "exciting": (("action", "adventure", "thriller"), ()),
}  # fmt: skip
SAME_MOOD = {
    "violence": "violent", "brutal": "violent", "bloody": "gory", "gore": "gory", "blood": "gory",
    "depressing": "sad", "heartbreaking": "sad", "tragic": "sad", "uplifting": "cheerful", "light": "cheerful",
    "lighthearted": "cheerful", "happy": "cheerful", "bleak": "dark", "gloomy": "dark", "thrilling": "exciting",
}  # fmt: skip

# folded adjective -> country, as the catalogue names it (folded)
COUNTRIES = {
    "american": "usa", "argentinian": "argentina", "australian": "australia", "austrian": "austria",
    "belgian": "belgium", "brazilian": "brazil", "british": "uk", "english": "uk", "canadian": "canada",
    "chinese": "china", "czech": "czech republic", "danish": "denmark", "dutch": "netherlands", "finnish": "finland",
    "french": "france", "german": "germany", "hungarian": "hungary", "icelandic": "iceland", "indian": "india",
    "iranian": "iran", "irish": "ireland", "israeli": "israel", "italian": "italy", "japanese": "japan",
    "korean": "south korea", "mexican": "mexico", "norwegian": "norway", "polish": "poland", "russian": "russia",
    "soviet": "ussr", "spanish": "spain", "swedish": "sweden", "turkish": "turkey",
}  # fmt: skip

NEGATIONS = frozenset(
    {"no", "not", "nothing", "without", "never", "nor", "neither", "except", "avoid", "dont", "isnt", "arent", "less",
     "hate", "minus"}
)  # fmt: skip
# A negation reaches to the next comma or stop, or to one of these words.
ENDS_NEGATION = frozenset(
    {"but", "with", "set", "in", "about", "something", "just", "only", "rather", "maybe", "please", "i", "want",
     "instead", "from"}
)  # fmt: skip
BEFORE_A_TITLE = ("like", "similar to", "such as", "as in", "in the style of", "in the vein of", "in the spirit of",
                  "loved", "love", "liked", "enjoyed", "reminds me of", "remind me of", "as good as", "mix of",
                  "cross between", "watched", "saw")  # fmt: skip
BETWEEN_TITLES = frozenset({"and", "or", "nor", "meets"})
DECADES = {
    "twenties": 1920, "thirties": 1930, "forties": 1940, "fifties": 1950, "sixties": 1960, "seventies": 1970,
    "eighties": 1980, "nineties": 1990,
}  # fmt: skip
NUMBERS = {"one": 1, "an": 1, "a": 1, "two": 2, "three": 3, "four": 4}
SHORT, LONG = 100, 140  # minutes: what "short" and "long" mean where no film is named to compare with
RECENT, OLD = 10, 1970  # "recent": the last ten years that the catalogue knows; "old": before that year
