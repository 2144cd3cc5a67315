"""Interchangeable words of one kind: colours, jobs, food and so on."""

from fbn_exp.datasets.probes.words import listed

COLORS = listed("red blue green yellow black white brown pink purple gray silver gold")

JOBS = listed(
    """
    teacher doctor nurse lawyer farmer baker driver pilot singer writer painter sailor soldier dentist
    cook dancer poet judge mechanic carpenter butcher gardener chef clerk coach guard hunter miner tailor
    scientist librarian photographer musician journalist
    """
)

FOODS = listed(
    """
    bread cheese rice soup fish beef chicken eggs fruit cake pasta pizza salad beans corn potatoes apples
    bananas grapes nuts honey butter chocolate carrots onions mushrooms tomatoes lemons oranges cherries
    """
)

PETS = listed("cat dog fish horse rabbit parrot turtle snake lizard goat mouse monkey duck pig")

LANGUAGES = listed(
    """
    English French German Spanish Italian Russian Chinese Japanese Arabic Greek Latin Turkish Polish Dutch
    Swedish Korean Hindi Hebrew Portuguese Danish Norwegian Czech Hungarian Irish Persian
    """
)

SPORTS = listed("football tennis golf baseball basketball hockey soccer chess cricket rugby volleyball")
