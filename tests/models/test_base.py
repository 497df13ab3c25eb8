"""What the AnnData-facing classes of all papers share."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scgen_lib.models.cvae import CVAE
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.scgan import ScGAN

SMALL = {
    "dca": lambda **more: DCA(hidden=(4, 2, 4), **more),
    "db_aae": lambda **more: DBAAE(hidden=(4, 3), latent_dim=2, disc_hidden=2, **more),
    "dr_a": lambda **more: DRA(latent_dim=2, hidden=[4], disc_hidden=[4], **more),
    "cvae": lambda **more: CVAE(filters=2, hidden=2, gene_order="mean", **more),
    "scgan": lambda **more: ScGAN(gen_layers=[4], critic_layers=[4], latent_dim=2, **more),
}
FIT = {name: {"epochs": 1, "batch_size": 8} for name in SMALL} | {"scgan": {"steps": 1, "batch_size": 8}}
each = pytest.mark.parametrize("name", SMALL)
pytestmark = pytest.mark.usefixtures("eager")


def cells(x):
    obs = pd.DataFrame({"cell_type": ["A", "B"] * (len(x) // 2)}, index=[f"c{i}" for i in range(len(x))])
    return AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(x.shape[1])]))


@each
def test_counts_of_a_small_type_train_the_same_model(name):
    # the totals exceed what half precision and 16 bits can hold
    deep = np.random.default_rng(0).integers(1, 120, (24, 1200))
    wide = SMALL[name]().fit(cells(deep.astype(np.int32)), **FIT[name])
    for dtype in (np.float16, np.int8):
        narrow = SMALL[name]().fit(cells(deep.astype(dtype)), **FIT[name])
        for key, values in wide.history.items():
            np.testing.assert_allclose(narrow.history[key], values, rtol=1e-5, err_msg=f"{key}, {dtype.__name__}")
        if name == "db_aae":
            denoised = [model.denoise_counts(cells(deep.astype(dtype))) for model in (narrow, wide)]
            np.testing.assert_allclose(*denoised, rtol=1e-4)


@pytest.mark.parametrize("name", ["dca", "cvae"])
def test_a_lone_cell_is_refused_as_no_cell_for_training(name):
    one = cells(np.ones((2, 5), int))[:1].copy()
    with pytest.raises(ValueError, match=r"at least one training cell, got none: .* give more cells"):
        SMALL[name]().fit(one, **FIT[name])
