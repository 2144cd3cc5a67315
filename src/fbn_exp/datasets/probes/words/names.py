"""Names of people and cities."""

from fbn_exp.datasets.probes.words import listed

MEN = listed(
    """
    Adam Alan Albert Andrew Anthony Arthur Ben Bill Bob Brian Carl Charles Daniel David Edward Eric Frank
    Fred Gary George Greg Harry Henry Jack Jacob James Jason Jeff Jim Joe John Joseph Kevin Larry Leo Luke
    Mark Martin Matthew Max Michael Mike Nathan Nick Noah Oliver Oscar Patrick Paul Peter Philip Ralph Ray
    Richard Robert Roger Ron Ryan Scott Simon Stephen Steve Ted Thomas Tim Tom Tony Victor Walter William
    """
)

WOMEN = listed(
    """
    Alice Amanda Amy Andrea Angela Anna Anne Barbara Betty Carol Caroline Catherine Charlotte Claire Clara
    Diana Dorothy Elizabeth Ella Emily Emma Eva Grace Hannah Helen Jane Janet Jennifer Jessica Joan Julia
    Julie Karen Kate Laura Lily Linda Lisa Lucy Margaret Maria Marie Martha Mary Mia Michelle Molly Nancy
    Nicole Olivia Rachel Rebecca Ruth Sandra Sara Sarah Sophia Sophie Susan Teresa Victoria
    """
)

CITIES = listed(
    """
    Paris London Rome Berlin Madrid Vienna Moscow Tokyo Cairo Sydney Boston Chicago Dublin Athens Lisbon
    Prague Delhi Miami Dallas Denver Seattle Toronto Montreal Milan Venice Florence Naples Hamburg Munich
    Geneva Oslo Stockholm Warsaw Budapest Istanbul Jerusalem Houston Detroit Atlanta Portland Oxford
    Cambridge Liverpool Manchester Glasgow Edinburgh Beijing Shanghai Singapore Mumbai Lima Havana
    """
)
