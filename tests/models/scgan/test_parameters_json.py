"""The parameter file of scGAN's released code."""

import copy
import json

import pytest

from scgen_lib.errors import ParameterError
from scgen_lib.models.scgan import ScGAN
from scgen_lib.models.scgan.parameters_json import params_from_json

FILE = {
    "exp_param": {"experiments_dir": "runs", "GPU": [0]},
    "experiments": {
        "pbmc": {
            "input_ds": {
                "clustering": {"res": None},
                "filtering": {"min_cells": 4, "min_genes": 11},
                "raw_input": "cells.h5ad",
                "scale": "normalize_per_cell_LS_10000",
                "split": {"balanced_split": True, "split_seed": "default", "test_cells": 5, "valid_cells": 6},
            },
            "training": {
                "max_steps": 50,
                "learning_rate": {"decay": False, "alpha_0": 1e-3, "alpha_final": 1e-4},
                "optimizer": {"algorithm": "AMSGrad", "beta1": 0.4, "beta2": 0.8},
                "batch_size": 8,
                "critic_iters": 3,
                "checkpoint": None,
                "progress_freq": 10,
                "validation_freq": 10,
                "save_freq": 10,
                "summary_freq": 5,
            },
            "model": {
                "type": "cscGAN",
                "latent_dim": 7,
                "output_LSN": 10000,
                "critic_layers": [8],
                "gen_layers": [9],
                "critic_cond_type": "proj",
                "gen_cond_type": "layernorm",
                "lambd": 5,
            },
        }
    },
}


def changed(section, key, value):
    content = copy.deepcopy(FILE)
    content["experiments"]["pbmc"][section][key] = value
    return content


def test_a_released_parameter_file_becomes_arguments(tmp_path):
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(FILE))
    with pytest.warns(UserWarning, match=r"no effect here: exp_param.experiments_dir, .*learning_rate.decay"):
        read = params_from_json(path)
    assert read == {
        "experiment": "pbmc",
        "dataset": "cells.h5ad",
        "process": {
            "cluster_first": True,
            "round_down": True,
            "resolution": None,
            "min_cells": 4,
            "min_genes": 11,
            "library_size": 10000.0,
            "stratify": True,
            "split_seed": 0,
            "test_cells": 5,
            "valid_cells": 6,
        },
        "model": {
            "library_size": 10000.0,
            "lr_initial": 1e-3,
            "lr_final": 1e-4,
            "optimizer": "amsgrad",
            "beta_1": 0.4,
            "beta_2": 0.8,
            "critic_iters": 3,
            "conditional": True,
            "latent_dim": 7,
            "lsn": True,
            "critic_layers": [8],
            "gen_layers": [9],
            "gen_norm": "layernorm",
            "gp_weight": 5,
        },
        "fit": {"steps": 50, "batch_size": 8, "checkpoint": None, "checkpoint_every": 10, "steps_per_epoch": 5},
    }
    assert ScGAN.faithful(**read["model"]).gp_weight == 5


@pytest.mark.filterwarnings("ignore:These parameters")
def test_values_with_a_meaning_of_their_own_are_translated():
    assert params_from_json(changed("model", "output_LSN", None))["model"]["lsn"] is False
    assert params_from_json(changed("model", "gen_cond_type", "other"))["model"]["gen_norm"] == "none"
    # the released scGAN has batchnorm whatever is asked
    of_scgan = params_from_json(changed("model", "type", "scGAN"))["model"]
    assert ScGAN.faithful(**of_scgan).gen_norm == "batchnorm"
    assert not of_scgan["conditional"]
    plain = changed("training", "optimizer", {"algorithm": "whatever", "beta1": 0.5, "beta2": 0.9})
    assert params_from_json(plain)["model"]["optimizer"] == "adam"
    assert params_from_json({**FILE, "experiments": {**FILE["experiments"], "b": {}}}, "pbmc")["experiment"] == "pbmc"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("model", "lambda", 10), "got 'model.lambda'"),
        (changed("model", "type", "GAN"), "expected model.type scGAN or cscGAN, got 'GAN'"),
        (changed("model", "output_LSN", 20000), "expected model.output_LSN to equal the scale of the data, 10000"),
        (changed("input_ds", "scale", "none"), "input_ds.scale to end in a number"),
        ({"experiments": {"a": {}, "b": {}}}, "name of one of the experiments a, b"),
        ({}, "there is none"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(content, message):
    with pytest.raises(ParameterError, match=message):
        params_from_json(content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="expected a JSON file of parameters"):
        params_from_json(tmp_path / "none.json")
