"""The leak report: what its scenarios do to features, and what the file holds."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from invertdesc import LocalFeatures, extract
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.defences.lifting import guess_by_mean, lift
from invertdesc.auditing.defences.privacy import laplace_mechanism, randomised_response
from invertdesc.auditing.threats import THREATS
from invertdesc.features import changes

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "<img src=x onerror=alert(1)>&.png"
FEW = ("--threat", "strongest=0.2", "--defence", "quantise=1", "--side", 96)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(data.astronaut()[:200, 130:330]).save(folder / HOSTILE)
    return folder


@pytest.fixture(scope="module")
def features() -> LocalFeatures:
    return extract(data.astronaut()[:256, 100:356])


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_report_is_one_file_that_loads_nothing_and_escapes_names(
    run: Run, photos: Path
) -> None:
    status, out, err = run("audit", photos, "-o", "report.html", *FEW)
    assert status == 0, err
    assert "report.html" in out
    text = Path("report.html").read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;.png" in text
    assert not re.search(r"https?://|<script|<link|@import", text)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', text))
    assert text.count("data:image/") >= 3
    assert 'name="viewport"' in text
    assert "@media print" in text


def test_numbers_lie_beside_it_and_repeat(run: Run, photos: Path) -> None:
    for name in ("a", "b"):
        assert run("audit", photos, "-o", f"{name}.html", *FEW, "--seed", 3)[0] == 0
    first, second = (json.loads(Path(f"{name}.json").read_text()) for name in ("a", "b"))
    assert first["rows"] == second["rows"]
    rows = {row["name"]: row for row in first["rows"]}
    assert {"everything", "strongest", "quantise", "shuffled"} <= set(rows)
    assert rows["everything"]["ncc"] > rows["shuffled"]["ncc"]
    assert rows["strongest"]["keypoints"] < 0.25 * rows["everything"]["keypoints"]
    assert f"{rows['everything']['ncc']:.2f}" in Path("a.html").read_text()


@pytest.mark.parametrize(
    "arguments", [("--threat", "telepathy"), ("--defence", "quantise=99"), ("-o", "report.pdf")]
)
def test_what_cannot_be_is_told(run: Run, photos: Path, arguments: tuple[str, ...]) -> None:
    status, _, err = run("audit", photos, *arguments)
    assert status == 2
    assert "Expected" in err


def test_names_are_the_keys() -> None:
    for kinds in (THREATS, DEFENCES):
        assert all(kind.at().name == name for name, kind in kinds.items())


def test_the_strongest_are_kept_and_as_many_at_random(features: LocalFeatures) -> None:
    few = changes.keep_strongest(features, 0.25)
    assert len(few) == round(0.25 * len(features))
    assert features.scores is not None
    assert few.scores is not None
    assert few.scores.min() >= features.scores.sort(descending=True).values[len(few) - 1]
    some = changes.keep_random(features, 0.25, _generator())
    assert len(some) == len(few)
    assert not torch.equal(some.keypoints, few.keypoints)


def test_quantising_leaves_as_many_values_as_bits_allow(features: LocalFeatures) -> None:
    for bits in (1, 2, 3):
        assert len(changes.quantise(features, bits).descriptors.unique()) == 2**bits


def test_shuffling_and_permuting_keep_the_values(features: LocalFeatures) -> None:
    shuffled = changes.shuffle_rows(features, _generator()).descriptors
    assert not torch.equal(shuffled, features.descriptors)
    assert torch.equal(shuffled.sum(1).sort().values, features.descriptors.sum(1).sort().values)
    permuted = changes.permute_columns(features, _generator()).descriptors
    assert not torch.equal(permuted, features.descriptors)
    assert torch.equal(permuted.sort(1).values, features.descriptors.sort(1).values)


def test_noise_has_the_size_that_is_asked_for(features: LocalFeatures) -> None:
    size = features.descriptors.square().mean().sqrt()
    noisy = changes.add_gaussian(features, 0.01, _generator())
    apart = (noisy.descriptors - features.descriptors).square().mean().sqrt()
    assert 0.004 < float(apart / size) < 0.0101  # below 0 it is cut off


def test_private_mechanisms_follow_epsilon() -> None:
    values = torch.full((2000, 4), 0.25)
    for epsilon in (1.0, 10.0):
        noise = laplace_mechanism(values, epsilon, _generator()) - values
        assert float(noise.abs().median()) == pytest.approx(
            2 / epsilon * torch.log(torch.tensor(2.0)).item(), rel=0.1
        )
    bits = torch.ones(4000, 1)
    kept = (randomised_response(bits, 1.0, _generator()) > 0).float().mean()
    assert float(kept) == pytest.approx(1 / (1 + torch.exp(torch.tensor(-1.0)).item()), abs=0.03)


def test_a_lifted_vector_lies_in_its_subspace() -> None:
    values, others = torch.rand(55, 16, generator=_generator()).split([5, 50])
    spaces = lift(values, others, 3, _generator())
    guess = guess_by_mean(spaces, values.mean(0))
    assert guess.shape == values.shape
    assert not torch.allclose(guess, values, atol=1e-3)
    torch.testing.assert_close(
        guess_by_mean(lift(values, others, 3, _generator()), values.mean(0)), guess
    )
