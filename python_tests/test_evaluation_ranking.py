import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_complexes import made_complex, made_model
from scipy.stats import gmean, hypergeom
from sklearn.metrics import roc_auc_score

from resblock.evaluation import evaluate, metrics, rank, ranking


def sorted_rank(scores, labels):
    """RFPP by sorting a list of tuples: the definition, slowly."""
    rows = sorted(zip(scores, labels, strict=True), key=lambda row: (-row[0], row[1]))
    return next((rank for rank, (_, true) in enumerate(rows, start=1) if true), None)


scored = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=60)


@given(scored)
def test_rfpp_is_the_pessimistic_rank(rows):
    scores, labels = zip(*rows, strict=True)
    assert ranking.rfpp(scores, labels) == sorted_rank(scores, labels)


@given(scored)
def test_auroc_counts_pairs_with_ties_as_half(rows):
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    positive, negative = scores[labels], scores[~labels]
    if len(positive) == 0 or len(negative) == 0:
        assert ranking.auroc(scores, labels) is None
        return
    difference = positive[:, None] - negative[None, :]
    expected = (difference > 0).mean() + 0.5 * (difference == 0).mean()
    assert ranking.auroc(scores, labels) == pytest.approx(expected, abs=1e-12)


@given(scored, st.randoms())
def test_the_order_of_the_input_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    one = metrics.metrics_of("X", *zip(*rows, strict=True), smaller_surface=20)
    other = metrics.metrics_of("X", *zip(*shuffled, strict=True), smaller_surface=20)
    assert one == other


def test_a_constant_score_earns_the_worst_rank():
    labels = np.zeros(100, dtype=bool)
    labels[:5] = True
    assert ranking.rfpp(np.zeros(100), labels) == 96
    assert ranking.precision_top_l5(np.zeros(100), labels, 25) == 0.0
    assert ranking.auroc(np.zeros(100), labels) == 0.5


def test_by_hand():
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    labels = [0, 1, 0, 1, 0, 0, 0, 0]
    result = metrics.metrics_of("1ABC", scores, labels, smaller_surface=11)
    assert result.rfpp == 2
    assert result.accuracy_order == 250.0
    assert result.expected_random_rfpp == 3.0
    assert result.auroc == pytest.approx(9 / 12)
    assert result.precision_top_l5 == 0.5  # two pairs, one of them true


def test_expected_random_rfpp_is_the_mean_over_all_orders():
    generator = np.random.default_rng(0)
    labels = np.zeros(40, dtype=bool)
    labels[:3] = True
    ranks = [np.flatnonzero(generator.permutation(labels))[0] + 1 for _ in range(20_000)]
    # Standard error 0.06 at a standard deviation of 8.
    assert ranking.expected_random_rfpp(40, 3) == pytest.approx(np.mean(ranks), abs=0.25)


@pytest.mark.parametrize(("pairs", "positives"), [(5000, 3), (2000, 1), (600, 2), (30, 4)])
def test_truncated_baseline_agrees_with_simulation(pairs, positives):
    draws = 1000
    generator = np.random.default_rng(pairs)
    # The first of M draws without replacement from N is the smallest of M distinct ranks.
    first = np.array([generator.choice(pairs, positives, replace=False).min() + 1 for _ in range(8000)])
    simulated = np.minimum(first, draws)
    error = simulated.std() / np.sqrt(len(simulated))
    expected = ranking.truncated_random_rfpp(pairs, positives, draws)
    assert expected == pytest.approx(simulated.mean(), abs=4 * error)


def test_truncated_baseline_without_truncation_is_the_exact_mean():
    assert ranking.truncated_random_rfpp(900, 7) == pytest.approx(901 / 8, rel=1e-12)
    assert ranking.truncated_random_rfpp(5000, 0) == 1000.0
    assert ranking.truncated_random_rfpp(50, 0) == 1000.0


def test_without_a_true_pair_nothing_is_defined():
    result = metrics.metrics_of("X", [1.0, 2.0], [False, False], 5)
    assert (result.pairs, result.positives) == (2, 0)
    assert result.rfpp is result.accuracy_order is result.expected_random_rfpp is None
    assert result.auroc is result.precision_top_l5 is None
    whole = metrics.summarise([result])
    assert (whole.complexes, whole.ranked, whole.ncpd) == (1, 0, 0)
    assert whole.median_rfpp is None
    assert whole.rfpp_percentiles is None


def test_summary():
    labels = np.zeros(2000, dtype=bool)
    labels[0] = True
    results = []
    for place in (1, 2, 3, 100, 1000):
        scores = np.zeros(2000)
        scores[1:place] = 2.0
        scores[0] = 1.0
        results.append(metrics.metrics_of(str(place), scores, labels, 10))
    whole = metrics.summarise(results)
    assert whole.ncpd == 2  # ranks 1 and 2 of 2000 are within 1 per mille
    assert whole.median_rfpp == 3
    assert whole.rfpp_percentiles is not None
    assert list(whole.rfpp_percentiles) == [str(p) for p in range(10, 100, 10)]
    assert whole.rfpp_percentiles["50"] == 3


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="not numbers"):
        ranking.rfpp([np.nan, 1.0], [True, False])
    with pytest.raises(ValueError, match="equal lengths"):
        ranking.rfpp([1.0], [True, False])


@given(scored)
def test_auroc_is_scikit_learns(rows):
    scores, labels = zip(*rows, strict=True)
    if len(set(labels)) == 2:
        assert ranking.auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("pairs", "positives", "draws"),
    [(50, 3, 20), (50, 3, 50), (50, 3, 60), (50, 50, 20), (50, 0, 20), (50, 0, 80), (1, 1, 5), (2000, 3, 1000)],
)
def test_truncated_baseline_is_the_hypergeometric_sum(pairs, positives, draws):
    """The rank is above k if none of the first k draws is true; from `draws` on it stays, and without a true pair."""
    none_yet = [hypergeom(pairs, positives, min(k, pairs)).pmf(0) for k in range(draws)]
    expected = draws if positives == 0 else sum(none_yet)
    assert ranking.truncated_random_rfpp(pairs, positives, draws) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("pairs", "positives"), [(40, 3), (7, 7), (9, 1)])
def test_expected_random_rfpp_is_the_sum_without_truncation(pairs, positives):
    none_yet = sum(hypergeom(pairs, positives, k).pmf(0) for k in range(pairs))
    assert ranking.expected_random_rfpp(pairs, positives) == pytest.approx(none_yet)
    assert ranking.expected_random_rfpp(pairs, 0) is None


def test_positives_come_last_of_equal_scores():
    order = ranking.pessimistic_order([0.5, 0.9, 0.5, 0.5, 0.1], [True, False, False, True, True])
    assert order.tolist() == [1, 2, 0, 3, 4]


@pytest.mark.parametrize(
    ("surface", "expected"), [(1, 1.0), (9, 1.0), (10, 0.5), (14, 0.5), (15, 2 / 3), (20, 0.5), (500, 0.4)]
)
def test_precision_is_over_a_fifth_of_the_smaller_surface(surface, expected):
    scores, labels = [5, 4, 3, 2, 1], [True, False, True, False, False]
    assert ranking.precision_top_l5(scores, labels, surface) == pytest.approx(expected)


def test_accuracy_order_ncpd_and_percentiles():
    assert ranking.accuracy_order(3, 2000) == 1.5
    assert ranking.ncpd([0.2, 1.0, 1.0001, 30]) == 2
    assert ranking.ncpd([0.2, 1.0, 1.0001, 30], per_mille=0.5) == 1
    assert ranking.ncpd([]) == 0
    # Eleven values lie at 0, 10, ... 100 per cent; between two, by the straight line.
    assert list(ranking.percentiles(range(11)).values()) == pytest.approx(range(1, 10))
    assert ranking.percentiles([1, 2])["30"] == pytest.approx(1.3)


def test_a_summary_by_hand():
    def result(code, rfpp, order, random, auroc, precision):
        return metrics.Metrics(code, 100, 2, rfpp, order, random, auroc, precision)

    whole = metrics.summarise(
        [
            result("A", 1, 0.5, 40.0, 0.9, 1.0),
            result("B", 10, 2.0, 30.0, 0.5, 0.0),
            result("C", 40, 32.0, 10.0, 0.6, 0.5),
            result("all true", 1, 1.0, 1.0, None, 1.0),
            metrics.Metrics("none", 100, 0, None, None, None, None, None),
        ]
    )
    assert (whole.complexes, whole.ranked, whole.ncpd) == (5, 4, 2)
    assert whole.median_rfpp == 5.5
    assert whole.median_accuracy_order == 1.5
    assert whole.median_expected_random_rfpp == 20.0
    assert whole.geometric_mean_rank == pytest.approx(gmean([0.5, 2.0, 32.0, 1.0]))
    assert whole.median_auroc == pytest.approx(0.6)
    assert whole.mean_auroc == pytest.approx(2 / 3)
    assert whole.mean_precision_top_l5 == pytest.approx(0.625)
    assert whole.rfpp_percentiles["10"] == pytest.approx(1.0)
    assert whole.rfpp_percentiles["90"] == pytest.approx(31.0)


def test_a_dimer_whose_pairs_are_all_true():
    result = metrics.metrics_of("X", [1.0, 2.0], [True, True], 5)
    assert (result.rfpp, result.accuracy_order, result.expected_random_rfpp) == (1, 500.0, 1.0)
    assert result.auroc is None
    assert result.precision_top_l5 == 1.0


def test_tables_are_refused():
    with pytest.raises(ValueError, match="equal lengths"):
        ranking.auroc([[1.0], [2.0]], [[True], [False]])


def test_the_order_is_of_scores_unless_the_diverse_one_is_asked_for():
    complex = made_complex(4)
    scores = np.random.default_rng(1).normal(size=complex.surface_shape)
    by_score = metrics.metrics_of(complex.code, scores.reshape(-1), complex.labels(), min(complex.surface_shape))
    assert rank(complex, scores) == by_score
    assert rank(complex, scores, diverse=True) != by_score


def test_every_result_is_shown_as_it_comes():
    complexes = [made_complex(k, f"D{k}") for k in range(3)]
    seen = []
    results = evaluate(made_model("residues", complexes[0]), complexes, progress=seen.append)
    assert seen == results
    assert [result.code for result in seen] == ["D0", "D1", "D2"]
