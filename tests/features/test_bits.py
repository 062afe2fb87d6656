import numpy as np
import pytest
import torch

from invertdesc.features.bits import from_values, pack_bits, to_values, unpack_bits


@pytest.mark.parametrize("rows", [0, 5])
def test_bits_are_those_of_numpy(rows: int) -> None:
    raw = torch.randint(256, (rows, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    bits = unpack_bits(raw)
    wanted = np.unpackbits(raw.numpy(), axis=1, bitorder="little")
    np.testing.assert_array_equal(bits.numpy(), wanted)
    assert torch.equal(pack_bits(bits), raw)
    assert torch.equal(to_values(raw), bits.float() * 2 - 1)
    assert torch.equal(from_values(to_values(raw), raw), raw)
