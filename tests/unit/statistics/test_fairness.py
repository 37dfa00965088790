"""Groups, gaps and the alert rule of fairness."""

import itertools

import numpy as np
import pytest

from atalaia.statistics import drop, fairness, gaps
from atalaia.statistics.fairness import Fairness, FairnessResult
from atalaia.statistics.gaps import Gap, Rule
from atalaia.statistics.group_errors import GroupErrors
from atalaia.statistics.groups import Attribute, Coded, Counts, Groups, add

SEX = Attribute("sex")
AGE = Attribute("age", bands=(30.0, 50.0, 70.0))


def _table(**groups: tuple[int, int, int, int]) -> Counts:
    """Counts of a single attribute from tp, fp, tn, fn by group."""
    return {(name,): np.array([0, tn, fn, 0, fp, tp, 0]) for name, (tp, fp, tn, fn) in groups.items()}


def _find(result: FairnessResult, metric: str, attribute: str = "sex") -> list[Gap]:
    return [gap for gap in result.gaps if (gap.metric, gap.attribute) == (metric, attribute)]


class TestAttribute:
    def test_bands_are_half_open(self) -> None:
        coded = AGE.code(np.array([29.999, 30, 49.999, 50, 70, np.nan, -np.inf, np.inf]))
        assert [coded.values[code] for code in coded.codes] == [
            "<30", "[30, 50)", "[30, 50)", "[50, 70)", ">=70", "missing", "<30", ">=70"
        ]  # fmt: skip

    def test_one_edge_makes_two_bands(self) -> None:
        assert Attribute("age", bands=(50.0,)).labels == ("<50", ">=50")

    @pytest.mark.parametrize("bands", [(50.0, 30.0), (30.0, 30.0)])
    def test_edges_that_do_not_rise_are_refused(self, bands: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="expected rising edges"):
            Attribute("age", bands=bands)

    def test_strings_are_groups_as_they_are_and_none_is_missing(self) -> None:
        coded = SEX.code(np.array(["F", None, "M", "", "F"], object))
        assert [coded.values[code] for code in coded.codes] == ["F", "missing", "M", "missing", "F"]

    def test_numbers_without_bands_are_groups_of_their_own(self) -> None:
        coded = SEX.code(np.array([1.0, 0.0, -0.0, np.nan, 0.5]))
        assert [coded.values[code] for code in coded.codes] == ["1", "0", "0", "missing", "0.5"]

    def test_places_in_a_list_of_categories(self) -> None:
        coded = SEX.code_places(np.array([1, -1, 0]), ["F", "M"])
        assert [coded.values[code] for code in coded.codes] == ["M", "missing", "F"]


class TestGroups:
    def test_single_attributes_come_first_and_depth_bounds_intersections(self) -> None:
        attributes = [Attribute(name) for name in "abc"]
        assert Groups(attributes, depth=1).names == ("a", "b", "c")
        assert Groups(attributes, depth=2).names == ("a", "b", "c", "a & b", "a & c", "b & c")
        assert Groups(attributes, depth=9).names[-1] == "a & b & c"

    def test_bands_are_shown_as_they_rise_and_missing_last(self) -> None:
        watch = Fairness([AGE])
        ages = np.array([np.nan, 80.0, 35.0, 20.0, 60.0])
        counts = watch.count({"age": ages}, flagged=np.ones(5, np.bool_), truth=np.ones(5, np.int64))
        shown = [group.group["age"] for group in watch.result(counts).groups]
        assert shown == ["<30", "[30, 50)", "[50, 70)", ">=70", "missing"]

    def test_a_column_that_is_not_there_is_missing_throughout(self) -> None:
        watch = Fairness([SEX, AGE])
        counts = watch.count({"age": np.array([20.0])}, flagged=np.array([True]), truth=np.array([1]))
        assert [group.group for group in watch.result(counts).groups] == [
            {"sex": "missing"}, {"age": "<30"}, {"sex": "missing", "age": "<30"}
        ]  # fmt: skip

    def test_groups_are_found_whatever_the_number_of_values(self) -> None:
        """Products of vocabularies far beyond the rows, and codes of values that never occur."""
        attributes = [Attribute(name) for name in "abcd"]
        columns = {
            name: Coded(tuple(str(value) for value in range(1000)), np.array([7, 7, 999 - place]))
            for place, name in enumerate("abcd")
        }
        cells = Groups(attributes).cells(columns, 3)
        assert cells.keys == (("7",) * 4, ("999", "998", "997", "996"))
        assert cells.codes.tolist() == [0, 0, 1]

    def test_no_attributes_and_no_rows_have_no_groups(self) -> None:
        nothing = np.zeros(0, np.int64)
        for watch in (Fairness([]), Fairness([SEX])):
            counts = watch.count({}, flagged=nothing.astype(np.bool_), truth=nothing)
            assert watch.result(counts) == FairnessResult([], [])

    def test_a_depth_of_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            Groups([SEX], depth=0)


class TestGroup:
    def test_flags_count_before_labels_and_rates_after(self) -> None:
        watch = Fairness([SEX])
        counts = watch.count(
            {"sex": np.array(["F"] * 6, object)},
            flagged=np.array([True, True, True, False, False, True]),
            truth=np.array([1, 0, -1, 1, -1, -1]),
            abstained=np.array([False] * 5 + [True]),
        )
        group = watch.result(counts).groups[0]
        assert (group.n, group.labelled, group.abstained) == (5, 3, 1)
        assert (group.tp, group.fp, group.tn, group.fn) == (1, 1, 0, 1)
        assert group.flag_rate == 3 / 5
        assert group.abstention_rate == 1 / 6
        assert (group.tpr, group.fpr, group.tnr, group.ppv) == (0.5, 1.0, 0.0, 0.5)
        assert group.npv == 0.0
        assert group.prevalence == pytest.approx(2 / 3)

    def test_a_rate_without_its_denominator_is_undefined_and_has_no_interval(self) -> None:
        result = Fairness([SEX]).result(_table(F=(0, 3, 4, 0)))
        group = result.groups[0]
        assert group.tpr is None
        assert group.fnr is None
        assert group.intervals["tpr"] is None
        assert group.intervals["fpr"] is not None

    def test_uneven_labels_mark_the_rates_and_stand_beside_weighted(self) -> None:
        # 200 flagged all labelled, 800 unflagged of which a tenth: tpr seen 100/110, in truth 100/200.
        counts: Counts = {("F",): np.array([720, 70, 10, 0, 100, 100, 0])}
        group = Fairness([SEX]).result(counts).groups[0]
        assert "tpr" in group.biased
        assert "ppv" not in group.biased
        assert group.tpr == pytest.approx(100 / 110)
        assert group.weighted["tpr"] == pytest.approx(100 / 200)
        assert Fairness([SEX]).result(_table(F=(10, 10, 10, 10))).groups[0].weighted == {}


class TestGaps:
    def test_a_difference_is_of_the_higher_rate_and_a_ratio_of_the_lower(self) -> None:
        result = Fairness([SEX]).result(_table(F=(30, 0, 0, 70), M=(60, 0, 0, 40)))
        difference, ratio = _find(result, "tpr_difference")[0], _find(result, "tpr_ratio")[0]
        assert difference.value == pytest.approx(0.3)
        assert difference.between == ("M", "F")
        assert ratio.value == pytest.approx(0.5)
        assert ratio.between == ("F", "M")

    def test_the_level_is_shared_among_the_pairs(self) -> None:
        groups = dict.fromkeys("abcdefgh", (50, 50, 50, 50))
        gap = _find(Fairness([SEX]).result(_table(**groups)), "tpr_difference")[0]
        assert gap.level == 1 - 0.001 / 28

    def test_one_group_alone_has_no_gap_but_says_so(self) -> None:
        result = Fairness([SEX]).result(_table(F=(10, 10, 10, 10)))
        gap = _find(result, "tpr_difference")[0]
        assert (gap.value, gap.low, gap.high, gap.between) == (None, None, None, ())
        assert result.judged() == {}

    def test_two_rates_of_zero_have_no_ratio(self) -> None:
        result = Fairness([SEX]).result(_table(F=(0, 0, 50, 50), M=(0, 0, 60, 40)))
        assert _find(result, "flag_rate_ratio")[0].value is None
        assert _find(result, "flag_rate_difference")[0].value == 0

    def test_the_surest_pair_stands_beside_the_widest(self) -> None:
        """A group of four rows has the widest gap; the one that counts is between the large ones."""
        table = _table(F=(100, 0, 0, 400), M=(400, 0, 0, 100), X=(4, 0, 0, 0))
        widest, surest = _find(Fairness([SEX]).result(table), "tpr_difference")
        assert widest.between == ("X", "F")
        assert not widest.supported
        assert not widest.hit
        assert surest.between == ("M", "F")
        assert surest.hit

    def test_an_intersection_is_named_by_its_parts(self) -> None:
        watch = Fairness([SEX, AGE])
        sex = np.repeat(np.array(["F", "M"], object), 200)
        counts = watch.count(
            {"sex": sex, "age": np.full(400, 35.0)},
            flagged=np.arange(400) < 200,
            truth=np.ones(400, np.int64),
        )
        gap = _find(watch.result(counts), "tpr_difference", "sex & age")[0]
        assert gap.between == ("F & [30, 50)", "M & [30, 50)")
        assert gap.hit


class TestRule:
    def test_bounds_decide_not_points(self) -> None:
        watch = Fairness([SEX])
        few = watch.result(_table(F=(20, 0, 0, 20), M=(30, 0, 0, 10)))
        many = watch.result(_table(F=(200, 0, 0, 200), M=(300, 0, 0, 100)))
        assert [_find(result, "tpr_difference")[0].value for result in (few, many)] == [0.25, 0.25]
        assert few.judged()["tpr_difference", "sex"] is False
        assert many.judged()["tpr_difference", "sex"] is True

    def test_only_declared_metrics_alert(self) -> None:
        table = _table(F=(10, 200, 200, 390), M=(390, 200, 200, 10))
        found = Fairness([SEX]).result(table).judged()
        assert found == {
            ("flag_rate_ratio", "sex"): True,
            ("tpr_difference", "sex"): True,
            ("fpr_difference", "sex"): False,
        }
        declared = Fairness([SEX], rule=Rule(may_alert=("accuracy_difference",))).result(table).judged()
        assert declared == {("accuracy_difference", "sex"): True}

    def test_a_group_of_under_thirty_never_alerts(self) -> None:
        watch = Fairness([SEX])
        for rows, judged in ((29, False), (30, True)):
            result = watch.result(_table(F=(0, 0, 0, rows), M=(500, 0, 0, 500)))
            assert (("tpr_difference", "sex") in result.judged()) is judged

    def test_ten_of_each_outcome_are_needed(self) -> None:
        watch = Fairness([SEX])
        for flagged, judged in ((9, False), (10, True)):
            result = watch.result(_table(F=(flagged, 0, 0, 200 - flagged), M=(flagged, 0, 0, 200 - flagged)))
            assert (("tpr_difference", "sex") in result.judged()) is judged

    def test_a_group_that_is_never_flagged_alerts(self) -> None:
        result = Fairness([SEX]).result(_table(F=(0, 0, 250, 250), M=(250, 0, 250, 0)))
        assert result.judged()["tpr_difference", "sex"]
        assert result.judged()["flag_rate_ratio", "sex"]

    def test_uneven_coverage_bars_rates_of_the_truth_but_not_the_flag_rate(self) -> None:
        counts: Counts = {
            ("F",): np.array([0, 400, 400, 0, 100, 100, 0]),
            ("M",): np.array([300, 50, 50, 0, 300, 300, 0]),
        }
        judged = Fairness([SEX]).result(counts).judged()
        assert judged == {("flag_rate_ratio", "sex"): True}
        gap = _find(Fairness([SEX]).result(counts), "tpr_difference")[0]
        assert gap.biased
        assert not gap.hit
        assert gap.value is not None

    def test_a_metric_that_cannot_alert_is_named(self) -> None:
        with pytest.raises(ValueError, match="equalized_odds_difference cannot alert"):
            Rule(may_alert=("equalized_odds_difference",))

    def test_two_windows_in_a_row_fire(self) -> None:
        fire = [
            drop.persists(hits, needed=gaps.HITS, of_windows=gaps.OF_WINDOWS)
            for hits in ([True], [True, True], [True, False, True], [False, True, True], [True, True, False])
        ]
        assert fire == [False, True, False, True, False]

    def test_fair_windows_are_hardly_ever_hits(self) -> None:
        """Eight groups of very different size and the same rates; plain 95 % intervals often err."""
        generator = np.random.default_rng(0)
        watch = Fairness([Attribute("group")])
        sizes = [2000, 1000, 500, 300, 150, 80, 40, 20]
        hits = plain = 0
        for _ in range(300):
            counts: Counts = {}
            for name, size in zip("abcdefgh", sizes, strict=True):
                positive = generator.binomial(size, 0.3)
                tp = generator.binomial(positive, 0.7)
                fp = generator.binomial(size - positive, 0.2)
                cell = np.array([0, size - positive - fp, positive - tp, 0, fp, tp, 0])
                counts = add(counts, {(name,): cell})
            result = watch.result(counts)
            hits += any(result.judged().values())
            rates = {
                group.group["group"]: (group.tp, group.tp + group.fn)
                for group in result.groups
                if group.tp + group.fn
            }
            plain += any(
                _plainly_differ(*first, *second)
                for first, second in itertools.combinations(rates.values(), 2)
            )
        assert hits == 0
        assert plain > 90


def _plainly_differ(k1: int, n1: int, k2: int, n2: int) -> bool:
    first, second = k1 / n1, k2 / n2
    spread = 1.96 * np.sqrt(first * (1 - first) / n1 + second * (1 - second) / n2)
    return bool(abs(first - second) > spread)


def test_outcomes_of_a_class_and_of_a_threshold() -> None:
    flagged, truth = fairness.of_classes(np.array([2, 0, -1]), np.array([2, 1, 2]), 2)
    assert (flagged.tolist(), truth.tolist()) == ([True, False, True], [1, 0, -1])
    flagged, truth = fairness.of_values(np.array([5.0, 4.9, np.nan]), np.array([1.0, 5.0, 6.0]), 5.0)
    assert (flagged.tolist(), truth.tolist()) == ([False, True, True], [1, 0, -1])


def test_errors_by_group_are_those_of_the_groups_rows() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = generator.normal(size=500), generator.normal(size=500)
    labels[generator.random(500) < 0.2] = np.nan
    sex, age = generator.choice(["F", "M"], 500).astype(object), generator.uniform(20, 90, 500)
    abstained = generator.random(500) < 0.1
    watch = GroupErrors([SEX, AGE])
    columns = {"sex": sex, "age": age}
    counts = watch.count(columns, labels=labels, predicted=predicted, abstained=abstained)
    women = (sex == "F") & (age >= 70)
    found = {tuple(group.group.items()): group for group in watch.result(counts)}
    group = found[("sex", "F"), ("age", ">=70")]
    used = women & ~abstained & ~np.isnan(labels)
    assert (group.n, group.labelled) == ((women & ~abstained).sum(), used.sum())
    assert group.abstained == (women & abstained).sum()
    assert group.bias == pytest.approx((predicted - labels)[used].mean(), rel=1e-12)
    assert group.mean_absolute_error == pytest.approx(np.abs(predicted - labels)[used].mean(), rel=1e-12)
