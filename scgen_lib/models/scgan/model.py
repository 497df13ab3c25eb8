"""scGAN and cscGAN on AnnData: fit, simulate, augment."""

import hashlib
import itertools
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib import backend, training
from scgen_lib.data import checks
from scgen_lib.data.stored import Stored
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import replacing
from scgen_lib.metrics.controls import as_counts
from scgen_lib.models.base import AnnDataModel, Callbacks, CheckpointFile, Progress, wanted_cells
from scgen_lib.models.scgan.cells import scaled, training_cells
from scgen_lib.models.scgan.net import ScGANNet
from scgen_lib.models.scgan.settings import ScGANSettings
from scgen_lib.models.scgan.watch import Summaries
from scgen_lib.settings import Option, checked

Cells = int | Sequence[int] | Mapping[str, int]


class ScGAN(ScGANSettings, AnnDataModel):
    """scGAN and cscGAN (Marouf et al. 2020): AnnData in, new cells out, of a class on demand.

    ``ScGAN()`` is the repaired model, which does what the released parameter file asks for, and has what we added;
    ``ScGAN.faithful()`` computes what the released code does.

    Attributes
    ----------
    net
        The `ScGANNet`, after `fit` or `load`.
    history
        Name → one value per block of outer steps: "step", outer steps done; means over the block of "critic" (L_D),
        "generator" (L_G), "penalty" (mean of (s − 1)², without λ), "slope" (mean of s), "score_real", "score_fake",
        "learning_rate", and "empty", the share of generated cells without any expression.

    Notes
    -----
    What the description (parameter file and its documentation) asks for: `critic_iters` updates of the critic in every
    outer step (`extra_critic_updates`, `first_step`), and that `lr_decay`, `critic_cond` and scGAN's `gen_norm` have an
    effect. What we added, and nothing describes: `slope_epsilon`, `generator_noise`, `moving_statistics`,
    `critic_input_scale` and `bn_momentum`; short trainings need 0.01 and 0.99 of the last two.

    The faithful model does not have these defects of the release: prior shares that are sorted by size instead of
    following their classes, cells without names of genes and classes, scGAN's broken generation, unseeded training,
    checkpoints that do not continue exactly; and it updates the generator after the critic, which the release leaves
    to chance. In both, the initial weights of rectified layers have a standard deviation that is 0.3 % smaller.

    The library size of generated cells is constant by construction. `simulate` turns them into counts on request, by
    library sizes of training cells.

    References
    ----------
    https://doi.org/10.1038/s41467-019-14018-z and github.com/imsb-uke/scGAN at commit 0fc1bdf.
    """

    net_type = ScGANNet
    key = "scgan"

    @property
    def labels(self) -> list[str]:
        """Names of the classes in the order of their codes; none for scGAN."""
        return self.fitted().note["labels"]

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        label_key: str = "cell_type",
        steps: Annotated[
            int, Option("in [1, inf)", "outer steps, over which the step size decays", origin="training.max_steps")
        ] = 1_000_000,
        batch_size: Annotated[int, Option("in [2, inf)", "cells an update", origin="training.batch_size")] = 128,
        steps_per_epoch: Annotated[
            int,
            Option(
                "in [1, inf)",
                "steps that a value of the history is the mean of, a divisor of all other numbers of steps",
                origin="training.summary_freq",
                flat="summary_every",
            ),
        ] = 100,
        callbacks: Callbacks = (),
        log_dir: Annotated[
            str | os.PathLike | None, Option("any", "folder for TensorBoard, see `Summaries`", flat=None)
        ] = None,
        histograms_every: Annotated[
            int,
            Option(
                "in [0, inf)", "steps between two sets of histograms for TensorBoard, 0: none", flat="histogram_every"
            ),
        ] = 0,
        checkpoint: CheckpointFile = None,
        checkpoint_every: Annotated[
            int,
            Option("in [1, inf)", "steps between two checkpoints", origin="training.save_freq", flat="save_every"),
        ] = 1000,
        progress: Progress = False,
    ) -> Self:
        """Train on raw counts; an outer step is some updates of the critic and one of the generator.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``), in memory or on disk (see `data.stored`), as
            of `scgan.cells.process`: only those with "train" in ``obs["scgan_split"]`` are looked at; without that
            column all train.
        label_key
            Column of ``obs`` with the classes; not read by scGAN. Their codes follow the order of the categories.

        Returns
        -------
        ScGAN
            Itself.

        Raises
        ------
        DataError
            Counts or classes that cannot be used, or a training cell without any count.
        ParameterError
            Steps or a batch size out of range.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        rows, block = training_cells(adata), min(steps, steps_per_epoch)
        lengths = {"steps": steps, "histograms_every": histograms_every}
        for name, value in (lengths | ({"checkpoint_every": checkpoint_every} if checkpoint else {})).items():
            if value % block:
                raise ParameterError(
                    f"expected {name} to be a multiple of steps_per_epoch, {block}, got {value}: change one of them"
                )
        if batch_size > len(rows):
            raise ParameterError(
                f"expected batch_size from 2 to the {len(rows)} training cells, got {batch_size}: lower it"
            )
        counts = checks.get_counts(adata, allow_empty=True, stored=True)[rows]
        labels, codes = [], np.zeros(len(rows), int)
        if self.conditional:
            classes = checks.check_labels(adata, label_key, min_classes=1)[rows].remove_unused_categories()
            labels, codes = classes.categories.tolist(), np.asarray(classes.codes, int)
        arrays = {"x": scaled(counts, self.library_size), "label": codes[:, None].astype("float32")}
        totals = checks.totals(counts)
        self.net = ScGANNet(
            adata.n_vars,
            self.settings,
            prior=(np.bincount(codes) / len(codes)).tolist(),
            note={
                "var_names": list(adata.var_names),
                "label_key": label_key,
                "labels": labels,
                "totals": [totals[codes == code].tolist() for code in range(max(len(labels), 1))],
                # a checkpoint of other lengths is another training
                "training": {"steps": steps, "block": block},
            },
        )
        self.net.compile(steps=steps)
        if self.net.jit is None:
            # A step is a loop over the critic's updates, so that it calls what XLA compiles once as many times.
            self.net.jit = steps * self.net.critic_updates >= training.XLA_PAYS

        def permutations(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
            drawn = [rng.permutation(rows) for _ in range(math.ceil(block * batch_size / len(rows)))]
            return np.concatenate(drawn)[: block * batch_size]

        order = permutations
        if isinstance(counts, Stored):
            order = training.exactly(block, training.shuffling(counts))
        watchers = [*callbacks]
        if log_dir is not None:
            some = training.dense(arrays["x"][:batch_size]), arrays["label"][:batch_size]
            watchers.append(Summaries(log_dir, *some, histograms_every))
        with backend.without_memory_optimizer():  # the critic's updates are a loop within that of the steps
            self._fit_net(
                arrays,
                epochs=steps // block,
                batch_size=self.net.critic_updates * batch_size,
                order=order,
                callbacks=watchers,
                checkpoint=checkpoint,
                checkpoint_every=max(1, checkpoint_every // block),
                progress=progress,
            )
        # Nobody calls the net as a whole, by which Keras would know that its weights are there to be saved.
        self.net.build()
        self.history["step"] = [float((i + 1) * block) for i in range(len(self.history["critic"]))]
        return self

    def simulate(
        self,
        cells: Cells = 100,
        *,
        seed: int | None = None,
        counts: bool = False,
        batch_size: int = 512,
        path: str | os.PathLike | None = None,
    ) -> anndata.AnnData:
        """Draw new cells of chosen classes; training cells are not needed.

        Every cell has noise of its own: the i-th cell of a class depends on seed, class and i alone.

        Parameters
        ----------
        cells
            How many of every class, a list of numbers in the order of `labels`, or a number for each class that is
            wanted; for scGAN a number, or a list of one.
        seed
            None: the model's.
        counts
            Add counts: round(y d / L), with the library size d of a training cell of the class.
        batch_size
            Cells at a time; results agree up to rounding.
        path
            File to write the cells to, ``.h5ad``.

        Returns
        -------
        AnnData
            Cells in the order asked for × the genes of the training: expression with total L in ``X`` (float32, CSR),
            classes in ``obs[label_key]`` (cscGAN), counts in ``layers["counts"]`` where asked for; ``uns["scgan"]``:
            settings, seed, "model" (SHA-256 of the weights) and "empty", the number of cells without any expression.

        Raises
        ------
        ParameterError
            An unknown class, a number that is none, or no cell at all.

        Warns
        -----
        UserWarning
            There are cells without any expression.
        """
        net, seed = self.fitted(), self.seed if seed is None else int(seed)
        target = self._target(cells)
        codes = np.repeat(list(target), list(target.values()))
        z = np.concatenate([
            np.random.default_rng([seed, code]).standard_normal((n, self.latent_dim), "float32")
            for code, n in target.items()
        ])  # fmt: skip
        # One shape for all calls, so that a cell's numbers do not depend on how many there are.
        filled = np.minimum(np.arange(max(len(z), batch_size)), len(z) - 1)
        generated = training.predict(
            lambda batch: {"x": net.generate(batch["z"], net.one_hot(batch["code"][:, 0]))},
            {"z": z[filled], "code": codes[filled, None]},
            batch_size,
        )
        x = sp.csr_matrix(generated["x"][: len(z)])
        obs = pd.DataFrame(index=[f"generated_{i}" for i in range(len(codes))])
        if self.labels:
            obs[net.note["label_key"]] = pd.Categorical.from_codes(codes, categories=self.labels)
        empty = int((checks.totals(x) == 0).sum())
        if empty:
            warnings.warn(f"{empty} of {len(codes)} generated cells have no expression.", stacklevel=2)
        made = anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=net.note["var_names"]))
        if counts:
            of_class = [as_counts(x[codes == c], net.note["totals"][c], seed=seed) for c, n in target.items() if n]
            made.layers["counts"] = sp.vstack(of_class, format="csr", dtype="int32")
        made.uns[self.key] = {**self.values(), "seed": seed, "model": self.fingerprint(), "empty": empty}
        if path is not None:
            with replacing(path) as temporary:
                made.write_h5ad(temporary)
        return made

    def _target(self, cells: Cells) -> dict[int, int]:
        """Code → number of cells, in the order asked for."""
        names = self.labels or ["all"]
        if isinstance(cells, Sequence | np.ndarray) and not isinstance(cells, str):
            if len(cells) != len(names):
                raise ParameterError(
                    f"expected {len(names)} numbers of cells, one for each of {', '.join(names)}, got {len(cells)}: "
                    "give as many, or a number by name"
                )
            cells = dict(zip(names, cells, strict=True))
        elif not isinstance(cells, Mapping):
            cells = dict.fromkeys(names, cells)
        return {names.index(name): n for name, n in wanted_cells(cells, names, "classes").items()}

    def augment(self, adata: anndata.AnnData, label: str, n: int, *, seed: int | None = None) -> anndata.AnnData:
        """Add generated cells of a class to real ones, or to what was augmented before.

        Parameters
        ----------
        adata
            Real cells with classes × the genes of the training, counts as in `fit`.
        label, n
            Class and number of the generated cells.
        seed
            As in `simulate`; cells of the class that were added before are not drawn again.

        Returns
        -------
        AnnData
            First the cells that came, then the generated ones, under names that are free: expression with total L in
            ``X``, counts in ``layers["counts"]`` (those of generated cells as in `simulate`), both CSR;
            ``obs[label_key]`` and ``obs["generated"]``, bool, which keeps what it said of cells that came.

        Raises
        ------
        ParameterError
            A model without classes, classes in a column of that name, or as `simulate`.
        DataError
            Other genes than those of the training, or another ``obs["generated"]``.
        """
        self.check_genes(adata)
        if not self.labels:
            raise ParameterError("expected a conditional model, got scGAN, which knows no classes: train a cscGAN")
        key, own = self.net.note["label_key"], "generated"
        checks.check_label_key(key, own)
        before = adata.obs.get(own, pd.Series(False, adata.obs_names))
        if not pd.api.types.is_bool_dtype(before):
            raise DataError(
                f"expected obs[{own!r}] to say which cells are generated (bool), got {before.iloc[0]!r}: rename that "
                "column of yours"
            )
        counts = sp.csr_matrix(checks.get_counts(adata, allow_empty=True))
        names = checks.check_labels(adata, key, min_classes=1)
        [(label, n)] = wanted_cells({label: n}, self.labels, "classes").items()
        drawn = int((before.to_numpy() & (names == label)).sum())
        made = self.simulate({label: drawn + n}, seed=seed, counts=True)[drawn:].copy()
        free = (name for name in map("generated_{}".format, itertools.count()) if name not in adata.obs_names)
        made.obs_names, made.obs[own] = list(itertools.islice(free, n)), True
        real = anndata.AnnData(
            scaled(counts, self.library_size),
            obs=pd.DataFrame({key: names, own: before}, index=adata.obs_names),
            var=made.var,
            layers={"counts": counts},
        )
        both = anndata.concat([real, made])
        both.obs[key] = both.obs[key].cat.set_categories(list(dict.fromkeys([*names.categories, *self.labels])))
        return both

    def fingerprint(self) -> str:
        """SHA-256 of the weights and statistics, in hexadecimal: which model made a cell."""
        net = self.fitted()
        layers = (*net.hidden, *net.norms, net.expression, *net.features, net.score)
        return hashlib.sha256(b"".join(w.numpy().tobytes() for layer in layers for w in layer.weights)).hexdigest()
