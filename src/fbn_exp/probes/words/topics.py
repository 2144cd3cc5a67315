"""Words of one kind that can stand in for one another: colours, jobs, places and so on."""

COLORS = tuple("red blue green yellow black white brown pink purple gray silver gold".split())

JOBS = tuple(
    """
    teacher doctor nurse lawyer farmer baker driver pilot singer writer painter sailor soldier dentist cook
    dancer poet judge mechanic carpenter butcher gardener chef clerk coach guard hunter miner tailor scientist
    librarian photographer musician journalist
    """.split()
)

PLACES = tuple(
    """
    kitchen garden garage bedroom basement attic office library school park hospital station museum theater
    market bank church hotel airport beach forest castle factory restaurant bathroom stadium harbor prison
    tower barn stable
    """.split()
)

CONTAINERS = tuple(
    "box bag drawer basket bucket jar cup bowl pocket bottle cabinet closet fridge oven sink desk".split()
)

FOODS = tuple(
    """
    bread cheese rice soup fish beef chicken eggs fruit cake pasta pizza salad beans corn potatoes apples
    bananas grapes nuts honey butter chocolate carrots onions mushrooms tomatoes lemons oranges cherries
    """.split()
)

PETS = tuple("cat dog fish horse rabbit parrot turtle snake lizard goat mouse monkey duck pig".split())

LANGUAGES = tuple(
    """
    English French German Spanish Italian Russian Chinese Japanese Arabic Greek Latin Turkish Polish Dutch
    Swedish Korean Hindi Hebrew Portuguese Danish Norwegian Czech Hungarian Irish Persian
    """.split()
)

SPORTS = tuple(
    "football tennis golf baseball basketball hockey soccer chess cricket rugby volleyball".split()
)

NUMBERS = tuple(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty
    """.split()
)
"""Names of 0 to 20; a number's name stands at its own place."""
