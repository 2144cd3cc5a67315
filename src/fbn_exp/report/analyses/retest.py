"""Present test-retest reliability as columns, numbers and sentences."""

from fbn_exp.analysis.retest import Retest
from fbn_exp.core.rows import Array
from fbn_exp.report.presentation import SIGNIFICANT


def retest_columns(halves: Retest) -> dict[str, Array]:
    """Columns of a table with a row per network."""
    strengths = halves.strengths
    return {
        "icc": strengths.icc,
        "icc_ci_low": strengths.icc_low,
        "icc_ci_high": strengths.icc_high,
        "icc_agreement": strengths.icc_agreement,
        "icc_content": strengths.icc_content,
        "own_similarity": halves.own_similarity,
        "content_similarity": halves.content_similarity,
        "other_similarity": halves.other_similarity,
        "beyond_content_p_value": halves.beyond_content,
        "text_identification": halves.text_identification,
        "network_identification": halves.network_identification,
        "network_identification_across": halves.network_identification_across,
    }


def retest_metrics(halves: Retest) -> dict[str, float]:
    """Averages over networks."""
    strengths = halves.strengths
    own, alike, others = halves.content
    return {
        "consistency/icc": strengths.mean.estimate,
        "consistency/icc/ci_low": strengths.mean.low,
        "consistency/icc/ci_high": strengths.mean.high,
        "consistency/icc/content": strengths.mean_content.estimate,
        "consistency/icc/content/ci_low": strengths.mean_content.low,
        "consistency/icc/content/ci_high": strengths.mean_content.high,
        "consistency/similarity/own": halves.own_similarity.mean(),
        "consistency/similarity/content": halves.content_similarity.mean(),
        "consistency/similarity/other": halves.other_similarity.mean(),
        "consistency/beyond_content": float((halves.beyond_content < SIGNIFICANT).sum()),
        "consistency/content/own": own,
        "consistency/content/alike": alike,
        "consistency/content/other": others,
        "consistency/text_identification": halves.text_identification.mean(),
        "consistency/text_identification/chance": 1 / halves.n_texts,
        "consistency/network_identification": halves.network_identification.mean(),
        "consistency/network_identification/across": halves.network_identification_across.mean(),
        "consistency/network_identification/chance": 1 / len(halves.own_similarity),
    }


def retest_lines(halves: Retest) -> list[str]:
    """Test-retest reliability and its content control in sentences."""
    strengths = halves.strengths
    icc, of_content = (
        f"{value.estimate:.2f} (95% {value.low:.2f} … {value.high:.2f})"
        for value in (strengths.mean, strengths.mean_content)
    )
    similarity = (halves.own_similarity, halves.content_similarity, halves.other_similarity)
    maps = ", ".join(f"{values.mean():.2f}" for values in similarity)
    content = ", ".join(f"{value:.2f}" for value in halves.content)
    beyond = int((halves.beyond_content < SIGNIFICANT).sum())
    n_networks, within = len(halves.own_similarity), halves.network_identification.mean()
    across, text = halves.network_identification_across.mean(), halves.text_identification.mean()
    by_network, by_text = 1 / n_networks, 1 / halves.n_texts
    return [
        f"Test-retest by dual regression onto the halves of {halves.n_texts} texts, without first tokens: "
        f"ICC(3,1) of a network's strength is {icc} on average; with the second half of the other text "
        f"that is most alike in content {of_content}.",
        f"|r| of a network's maps in the halves of one text, of two texts alike, of any two: {maps} (r of "
        f"their content: {content}). One text's halves agree beyond content for {beyond} of {n_networks} "
        f"networks (p < {SIGNIFICANT}, family-wise).",
        f"By its map a network is found among {n_networks} in the other half in {within:.0%}, in halves of "
        f"other texts in {across:.0%} (chance {by_network:.0%}): what the second falls short of the first "
        f"is content. A text is found among {halves.n_texts} in {text:.0%} (chance {by_text:.0%}).",
    ]
