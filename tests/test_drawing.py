import torch

from invertdesc import LocalFeatures
from invertdesc.drawing import contact_sheet, draw_keypoints, enlarge, side_by_side


def _features(**changes: torch.Tensor) -> LocalFeatures:
    return LocalFeatures(
        keypoints=torch.tensor([[20.0, 10.0]]),
        descriptors=torch.zeros(1, 128),
        image_size=(24, 40),
        descriptor="sift",
        **changes,
    )


def test_a_circle_has_the_scale_and_a_line_points_along_the_orientation() -> None:
    features = _features(scales=torch.tensor([6.0]), orientations=torch.tensor([0.0]))
    drawn = draw_keypoints(features).amax(0)
    assert drawn[10, 26] > 0.3  # right end of the line, on the circle
    assert drawn[4, 20] > 0.3  # top of the circle
    assert drawn[10, 23] > 0.3  # on the line
    assert drawn[10, 17] == 0  # the other side is empty
    down = _features(scales=torch.tensor([6.0]), orientations=torch.tensor([torch.pi / 2]))
    assert draw_keypoints(down).amax(0)[13, 20] > 0.3


def test_without_scales_and_orientations_only_places_are_drawn() -> None:
    drawn = draw_keypoints(_features()).amax(0)
    assert drawn[10, 22] > 0.2
    assert drawn[10, 26:].max() == 0


def test_zoom_moves_pixel_centres_with_the_picture() -> None:
    features = _features(scales=torch.tensor([2.0]))
    drawn = draw_keypoints(features, zoom=4).amax(0)
    ys, xs = (drawn > 0.2).nonzero().float().mean(0)
    assert abs(float(xs) - 81.5) < 0.5
    assert abs(float(ys) - 41.5) < 0.5


def test_side_by_side_drops_the_original_where_there_is_none() -> None:
    features, picture = _features(), torch.full((3, 24, 40), 0.5)
    two = side_by_side(features, picture, None, "poisson")
    three = side_by_side(features, picture, picture, "poisson")
    assert three.shape[2] > two.shape[2] * 1.4
    assert 0 <= float(three.min()) <= float(three.max()) <= 1


def test_contact_sheet_lays_rows_below_each_other() -> None:
    pictures = [torch.rand(3, 16, 20) for _ in range(3)]
    sheet = contact_sheet([("a", pictures), ("b", pictures)])
    assert sheet.shape == (3, 2 * (16 + 22), 3 * 20 + 2 * 6)
    torch.testing.assert_close(sheet[:, 22:38, :20], pictures[0])


def test_pictures_of_several_sizes_are_padded_with_white() -> None:
    sheet = contact_sheet(
        [("a", [torch.zeros(3, 8, 9), torch.zeros(3, 5, 4)]), ("b", [torch.zeros(3, 6, 2)])]
    )
    assert sheet.shape == (3, 2 * 22 + 8 + 6, 9 + 6 + 4)
    assert sheet[0, 22 + 7, 18] == 1
    assert sheet[0, 22 + 4, 18] == 0


def test_enlarge_keeps_range_and_size() -> None:
    large = enlarge(torch.eye(6).expand(3, 6, 6), 3)
    assert large.shape == (3, 18, 18)
    assert float(large.min()) >= 0
    assert float(large.max()) <= 1
