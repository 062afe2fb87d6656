"""The page and the JSON: what they hold, and what they must not."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from jinja2 import UndefinedError

from invertdesc import LocalFeatures, create_descriptor, create_method
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.inputs import Inputs
from invertdesc.auditing.report import findings, wording
from invertdesc.auditing.report.chart import draw
from invertdesc.auditing.report.report import render, save_report
from invertdesc.auditing.report.template import environment, number, text
from invertdesc.auditing.result import Audit, Curve, Series
from invertdesc.auditing.run import Plan, run_plan
from invertdesc.auditing.subjects import Subject
from invertdesc.auditing.sweeps import Line, Sweep
from invertdesc.auditing.threats import THREATS
from invertdesc.descriptors import Descriptor
from invertdesc.errors import FileError, InputError, MissingFieldError
from invertdesc.evaluation.scores import Ruler, Scores

HOSTILE = '<script>alert(1)</script>"onload="x\u202e\x1b]0;\ud800.png'
VOID = ("meta", "img", "input", "line", "br")
LOADING = {"src", "href", "srcset", "action", "formaction", "data", "poster", "xlink:href", "ping"}


class Page(HTMLParser):
    """Collects table cells by row, tags and attributes; checks that tags close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.cells: dict[tuple[str, str], str] = {}
        self.styles: list[str] = []
        self._row, self._cell = "", ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = {name: value or "" for name, value in attrs}
        self.attributes += list(found.items())
        self._row = found.get("data-row", self._row)
        self._cell = found.get("data-name", "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._cell = ""

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.styles.append(data)
        if self._cell:
            self.cells[self._row, self._cell] = data


def inputs(adapter: Descriptor, *subjects: Subject, notes: tuple[str, ...] = ()) -> Inputs:
    return Inputs(adapter, subjects, notes, 0, len(subjects))


@pytest.fixture(scope="module")
def found(subject: Subject, sift: Descriptor) -> Audit:
    hostile = Subject(HOSTILE, subject.features, subject.image)
    names = ("descriptors", "strongest", "random", "outside")
    plan = Plan(
        threats=[THREATS[name].at() for name in names],
        defences=[DEFENCES[name].at() for name in ("quantise", "lift")],
        sweeps=[
            Sweep(
                "Fewer <b>",
                "share (%)",
                (
                    Line(
                        "random", tuple((100 * s, THREATS["random"].at(s)) for s in (0.1, 0.5)), 100
                    ),
                    Line("hidden", ((4.0, DEFENCES["lift"].at()),)),
                ),
            )
        ],
        seed=7,
    )
    return run_plan(
        inputs(sift, hostile, Subject("bare", subject.features[:40]), notes=("<i>a note</i>",)),
        method=create_method("poisson", descriptor=sift),
        ruler=Ruler(sift),
        plan=plan,
    )


def page_of(one: Audit) -> str:
    return render(one, source="<u>photos</u>", command="invertdesc audit '<x>' && echo")


def test_a_notebook_shows_the_report_in_a_frame(found: Audit) -> None:
    shown = found._repr_html_()
    frame = re.fullmatch(r'<iframe title="[^"]*" style="[^"]*" srcdoc="([^"]*)"></iframe>', shown)
    assert frame is not None
    assert html.unescape(frame[1]) == render(found)


def test_the_page_is_whole_and_loads_and_runs_nothing(found: Audit) -> None:
    text = page_of(found)
    page = Page(text)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "form", "b>"}
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & (LOADING - {"src", "href"})
    links = {value[1:] for name, value in page.attributes if name == "href" and value[0] == "#"}
    assert len(links) == sum(name == "href" for name, _ in page.attributes) == 8
    assert links <= {value for name, value in page.attributes if name == "id"}
    assert all(v.startswith("data:image/jpeg;base64,") for n, v in page.attributes if n == "src")
    styles = page.styles + [value for name, value in page.attributes if name == "style"]
    assert len(page.styles) == 1
    assert not [style for style in styles if re.search(r"url\(|@import|image-set\(|src\(", style)]
    assert not [v for _, v in page.attributes if v.strip().lower().startswith("javascript:")]
    assert "default-src 'none'" in text
    assert all(value for name, value in page.attributes if name == "alt")


def test_whatever_is_said_is_escaped(found: Audit) -> None:
    page = page_of(found)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;onload=&quot;x\\u202e\\x1b]0;" in page
    for told in ("&lt;i&gt;a note&lt;/i&gt;", "&lt;u&gt;photos&lt;/u&gt;", "Fewer &lt;b&gt;"):
        assert told in page
    assert "&#x27;&lt;x&gt;&#x27; &amp;&amp; echo" in page
    page.encode("utf-8")  # also with half a surrogate pair in a name
    assert text("\ud800\x00") == "\\ud800\\x00"


def test_whatever_cannot_be_printed_is_a_code_wherever_it_stands(found: Audit) -> None:
    bad = "<x>\ud800\x1b\u202e"
    (curve,) = found.curves
    lines = tuple(replace(line, title=bad) for line in curve.series)
    rows = tuple(replace(row, title=bad, sentence=bad) for row in found.rows)
    noted = replace(rows[1], note=bad)
    page = render(
        replace(
            found,
            descriptor=bad,
            method=bad,
            notes=(bad,),
            versions={bad: bad},
            curves=(replace(curve, title=bad, axis=bad, series=lines),),
            rows=(rows[0], noted, *rows[2:]),
        ),
        source=bad,
        command=bad,
    )
    Page(page)
    assert "<x>" not in page
    assert page.count("&lt;x&gt;\\ud800\\x1b\\u202e") > 40
    assert not {c for c in page if not c.isprintable()} - {"\n"}


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ audit.rows }}").render()


def test_the_image_that_is_seen_best_is_named(found: Audit) -> None:
    first, second = found.portraits
    best = [
        replace(one, name=name, scores=replace(one.scores, ncc=ncc))
        for one, name, ncc in ((first, "a.png", 0.5), (second, "b.png", 0.9))
    ]
    text = page_of(replace(found, portraits=tuple(best)))
    assert "Best seen is b.png (likeness 0.90), least a.png (0.50)." in text
    assert "Best seen" not in page_of(replace(found, portraits=(first,)))


def test_pictures_come_first(found: Audit) -> None:
    page = page_of(found)
    heads = ("What an attacker sees", "Who and what", "What each defence", "What to do")
    places = [page.index(f"<h2>{head}") for head in (*heads, "How it was measured")]
    assert places == sorted(places)
    assert page.index("<img") < places[1]


def test_the_table_shows_the_numbers_of_the_json(found: Audit, tmp_path: Path) -> None:
    beside = save_report(found, tmp_path / "in" / "report.html", source="a", command="b")
    numbers: dict[str, Any] = json.loads(beside.read_text("utf-8"))
    cells = Page((tmp_path / "in" / "report.html").read_text("utf-8")).cells
    assert (numbers["seed"], numbers["source"], numbers["command"]) == (7, "a", "b")
    digits = {column.name: column.digits for column in wording.COLUMNS}
    checked = 0
    for row in numbers["rows"]:
        key = row["name"] if row["value"] is None else f"{row['name']}={row['value']}"
        assert cells[key, "keypoints"] == number(row["keypoints"], 0)
        for name in vars(Scores()):
            if (key, name) in cells:
                assert cells[key, name] == number(row[name], digits[name])
                checked += row[name] is not None
            else:
                assert row[name] is None
    assert checked > 40
    assert [row["name"] for row in numbers["rows"]] == [row.name for row in found.rows]
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_seed_gives_the_same_page_and_another_does_not(
    subject: Subject, sift: Descriptor
) -> None:
    def page(seed: int) -> str:
        plan = Plan(threats=[THREATS["random"].at()], defences=[], seed=seed)
        method = create_method("poisson", descriptor=sift)
        return render(
            run_plan(
                inputs(sift, subject), method=method, ruler=Ruler(sift, faces=False), plan=plan
            )
        )

    assert page(1) == page(1)
    assert page(1).replace("Seed 1", "Seed 2") != page(2)


def test_everything_leads_and_the_floors_are_there(found: Audit) -> None:
    assert [row.name for row in found.rows] == [
        *("everything", "descriptors", "strongest", "random", "outside", "shuffled", "flat"),
        *("quantise", "lift"),
    ]
    everything, shuffled, flat = (found.row(n) for n in ("everything", "shuffled", "flat"))
    assert (found.score(everything) or 0) > (found.score(shuffled) or 0) + 0.2
    assert found.score(flat) == pytest.approx(0, abs=1e-6)
    assert found.row("descriptors").scores == Scores()
    assert (found.row("descriptors").patch_ncc or 0) > 0.5


def test_curves_meet_the_table(found: Audit) -> None:
    (curve,) = found.curves
    random, hidden, naive = curve.series
    assert [x for x, _ in random.points] == [10.0, 50.0, 100.0]
    assert random.points[-1][1] == curve.best == found.score(found.row("everything"))
    assert hidden.points == ((4.0, found.score(found.row("lift"))),)
    assert naive.points == ((4.0, found.row("lift").tried[0].score),)
    assert naive.points[0][1] < hidden.points[0][1]
    assert curve.floor == found.score(found.row("shuffled"))
    assert random.points[0][1] < random.points[-1][1]


def test_a_chart_names_its_axes_and_points() -> None:
    curve = Curve("Bits", "bits a value", False, (Series("q", ((1, 0.5), (8, -0.3))),), 0.9, 0.2)
    chart = draw(curve, "likeness")
    Page(chart)
    for words in (
        "bits a value",
        "likeness",
        "q, 1: 0.500",
        "q, 8: -0.300",
        ">-0.5<",
        ">shuffled<",
    ):
        assert words in chart
    places = [float(y) for y in re.findall(r' cy="([\d.]+)"', chart)]
    assert places[0] < places[1] < 260  # more is higher


def test_a_logarithmic_axis_spaces_factors_alike() -> None:
    points = ((1.0, 0.1), (10.0, 0.2), (100.0, 0.3))
    chart = draw(Curve("e", "epsilon", True, (Series("e", points),), None, None), "likeness")
    first, second, third = (float(x) for x in re.findall(r' cx="([\d.]+)"', chart))
    assert second - first == pytest.approx(third - second, abs=0.11)


def with_scores(one: Audit, name: str, **scores: float | None) -> Audit:
    rows = [
        replace(row, scores=replace(row.scores, **scores)) if row.name == name else row
        for row in one.rows
    ]
    return replace(one, rows=tuple(rows))


def test_words_follow_what_was_understood(found: Audit) -> None:
    many = with_faces(found, 20)

    def verdict(**scores: float | None) -> str:
        return findings.verdict(with_scores(many, "everything", **scores))

    said = [verdict(recognised=share) for share in (0.7, 0.3, 0.05)]
    assert said == [findings.VERDICTS["people", one] for one in ("high", "partial", "low")]
    assert verdict(recognised=0.3, impostors=0.2) == findings.VERDICTS["people", "low"]
    assert verdict(recognised=0.0, characters=0.9) == findings.VERDICTS["text", "high"]
    assert "not measured" in verdict(picked=1.0)  # the places of keypoints alone show as much
    many = with_scores(many, "shuffled", picked=0.5)
    assert verdict(picked=1.0) == findings.VERDICTS["picture", "high"]
    assert verdict(picked=1.0, recognised=0.0) == findings.VERDICTS["people", "low"]
    assert "not measured" in verdict(picked=None)
    assert len({verdict(ncc=ncc) for ncc in (0.9, 0.1)}) == 1  # likeness calls no verdict


def with_faces(one: Audit, count: int) -> Audit:
    first, *rest = one.portraits
    others = [replace(portrait, faces=0) for portrait in rest]
    return replace(one, portraits=(replace(first, faces=count), *others))


@pytest.mark.parametrize(
    ("faces", "said"), [(1, "0 of 1 face was recognised"), (4, "0 of 4 faces were recognised")]
)
def test_few_faces_call_nobody_safe(found: Audit, faces: int, said: str) -> None:
    few = with_faces(with_scores(found, "everything", recognised=0.0), faces)
    assert findings.verdict(few) == f"{said}: too few faces to say that people are safe."


def test_what_was_not_measured_is_said(found: Audit) -> None:
    bare = with_scores(found, "everything", picked=None)
    people, text, page, picture = findings.understood(bare)
    assert "no face recogniser is installed" in people
    assert "no program that reads text" in text
    assert page == ""
    assert "not measured" in picture
    assert "Have it measured" in findings.advice(bare)[0]
    assert "bring the originals" not in findings.advice(bare)[0]  # they are there
    blind = tuple(replace(one, original=None) for one in bare.portraits)
    assert "bring the originals" in findings.advice(replace(bare, portraits=blind))[0]
    assert page_of(bare).count("not measured") > 5


def test_advice_weighs_what_defences_buy_and_cost(found: Audit) -> None:
    portraits = tuple(replace(found.portraits[0], faces=1) for _ in range(20))
    many = replace(found, portraits=portraits)
    for name in ("everything", "quantise", "lift"):
        many = with_scores(many, name, recognised=0.8)
    many = with_scores(many, "lift", recognised=0.0)
    kept = [replace(row, kept=0.9) if row.name == "lift" else row for row in many.rows]
    first, held, *_ = findings.advice(replace(many, rows=tuple(kept)))
    assert "Treat what is stored" in first
    assert "“Hide among 4 others” (90 % of matches)" in held
    costly = [replace(row, kept=0.1) if row.name == "lift" else row for row in kept]
    assert "costs most of the matching" in findings.advice(replace(many, rows=tuple(costly)))[1]
    few = replace(many, portraits=portraits[:2])
    assert "2 faces cannot show" in findings.advice(few)[1]
    none = with_scores(many, "lift", recognised=0.6)
    assert "No defence that was tried held" in findings.advice(none)[1]


def test_a_defence_that_hides_from_the_naive_alone_is_warned_of(found: Audit) -> None:
    lift = found.row("lift")
    tried = (replace(lift.tried[0], score=0.1), *lift.tried[1:])
    rows = tuple(replace(row, tried=tried) if row.name == "lift" else row for row in found.rows)
    *_, last = findings.advice(replace(found, rows=rows))
    assert "Do not rely on “Hide among 4 others”" in last
    assert "likeness of 0.10" in last


def test_the_row_of_a_defence_is_its_worst_attack(found: Audit) -> None:
    lift = found.row("lift")
    assert [one.name for one in lift.tried] == ["naive", "nearest", "refit", "likeliest"]
    scores = [one.score or 0.0 for one in lift.tried]
    assert found.score(lift) == pytest.approx(max(scores))
    assert lift.attack == lift.tried[scores.index(max(scores))].title
    assert lift.kept is not None
    assert found.row("random").kept is None


def test_no_keypoints_and_no_images_are_told(sift: Descriptor) -> None:
    method = create_method("poisson", descriptor=sift)
    empty = LocalFeatures(
        keypoints=torch.zeros(0, 2),
        descriptors=torch.zeros(0, 128),
        image_size=(8, 8),
        descriptor="sift",
    )
    for subjects in ([], [Subject("a", empty)]):
        with pytest.raises(InputError, match="at least one image with keypoints"):
            run_plan(inputs(sift, *subjects), method=method, ruler=Ruler(sift))


def test_an_image_without_keypoints_is_flat(subject: Subject, sift: Descriptor) -> None:
    method = create_method("poisson", descriptor=sift)
    both = [Subject("none", subject.features[:0], subject.image), subject]
    plan = Plan(threats=[THREATS["random"].at()], defences=[])
    one = run_plan(inputs(sift, *both), method=method, ruler=Ruler(sift, faces=False), plan=plan)
    assert one.portraits[0].scores.ncc == pytest.approx(0, abs=1e-6)
    assert one.row("everything").images == 2
    Page(render(one))


def test_what_no_method_can_attack_is_told(picture: torch.Tensor) -> None:
    latch = create_descriptor("latch")  # whose orientations are not recovered
    method = create_method("poisson", descriptor=latch)
    bare = inputs(latch, Subject("a", latch.extract(picture).without("orientations")))
    with pytest.raises(MissingFieldError, match="orientations"):
        run_plan(bare, method=method, ruler=Ruler(latch), plan=Plan(threats=[], defences=[]))


def test_a_report_is_written_whole_or_not_at_all(found: Audit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError):
        save_report(found, tmp_path / "file" / "report.html")
    with pytest.raises(InputError, match=r"\.html"):
        save_report(found, tmp_path / "report.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_report_says_how_many_images_there_were(found: Audit) -> None:
    some = replace(found, total=1234)
    text = page_of(some)
    assert f"<dd>{len(found.portraits)} of 1,234</dd>" in text
    assert "of 1,234 images were audited, evenly spaced" in text
    assert some.as_json()["images_in_all"] == 1234
    assert "evenly spaced" not in page_of(replace(found, total=len(found.portraits)))
