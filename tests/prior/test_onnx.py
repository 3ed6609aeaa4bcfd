"""ONNX networks as priors: graphs made here for every kind of input and output, real ones where they are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hints.files import read_mask
from uhrmat.hub import CatalogEntry, Network, WeightsFile
from uhrmat.media import read_picture
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints, RecurrentPrior

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from uhrmat.prior.networks.onnx import OnnxPrior, execution_providers  # noqa: E402
from uhrmat.prior.networks.registry import load_network  # noqa: E402

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def _save(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], **weights: Any) -> Path:
    from onnx import TensorProto, helper, numpy_helper

    def info(shapes: dict[str, Any]) -> list[Any]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "test", info(inputs), info(outputs), tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs, [output], **attributes)


def _mean_network(path: Path, channels: int = 3, side: int | str = "n", name: str = "alpha", pick: int = 0) -> Path:
    """Its output is channel `pick` of its input."""
    weight = np.zeros((1, channels, 1, 1), np.float32)
    weight[0, pick] = 1
    shapes = {"image": [1, channels, side, side if isinstance(side, int) else "m"]}
    return _save(path, [_node("Conv", ["image", "w"], name)], shapes, {name: [1, 1, "a", "b"]}, w=weight)


def _entry(network: Network, path: Path) -> CatalogEntry:
    file = WeightsFile(path.name, path.stat().st_size, "0" * 64)
    return CatalogEntry(
        name="mine", title="test", task="subject", source="elsewhere", loader="onnx", licence="MIT", commercial=True,
        data="", files=(file,), network=network,
    )  # fmt: skip


def _beside(path: Path, *lines: str) -> Path:
    """Writes what a graph cannot say into the file beside it."""
    plain = ("mean = [0.0, 0.0, 0.0]", "std = [1.0, 1.0, 1.0]", 'activation = "alpha"')
    Path(f"{path}.toml").write_text("\n".join(lines or plain), "utf-8")
    return path


def _ramp(height: int = 40, width: int = 64) -> np.ndarray:
    small = np.random.default_rng(0).random((height, width, 3), np.float32)
    small[..., 0] = np.linspace(0, 1, width)
    return small


def test_a_catalogued_network_is_asked_as_the_catalogue_says(tmp_path: Path) -> None:
    path = _mean_network(tmp_path / "net.onnx")
    network = Network(
        fit="square",
        side=32,
        multiple=1,
        activation="logits",
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        input="image",
        output="alpha",
    )
    result = OnnxPrior(path, _entry(network, path))(_ramp(), LowResHints())
    expected = 1 / (1 + np.exp(-(np.linspace(0, 1, 64) - 0.5) / 0.25))
    assert result.alpha.shape == (40, 64) and result.name == "mine" and not result.notes
    assert np.abs(result.alpha - expected).max() < 0.02


def test_nothing_is_guessed_of_an_unknown_file(tmp_path: Path) -> None:
    path = _mean_network(tmp_path / "unknown.onnx", side=32, name="output")
    with pytest.raises(WeightsError, match="in no catalogue") as refused:
        OnnxPrior(path)
    for word in (f"{path}.toml", "mean", "activation", 'side = 32; multiple = 32; layout = "NCHW"; input = "image"'):
        assert word in (refused.value.hint or "")


def test_the_file_beside_says_what_the_graph_cannot(tmp_path: Path) -> None:
    path = _mean_network(tmp_path / "unknown.onnx", side=32)
    _beside(path, "[network]", "mean = [0.5, 0.5, 0.5]", "std = [0.25, 0.25, 0.25]", 'activation = "logits"')
    prior = OnnxPrior(path)
    assert prior.network.fit == "square" and prior.network.side == 32 and prior.network.input == "image"
    result, expected = prior(_ramp(), LowResHints()), 1 / (1 + np.exp(-(np.linspace(0, 1, 64) - 0.5) / 0.25))
    assert result.name == "unknown" and not result.notes and np.abs(result.alpha - expected).max() < 0.04


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("mean = 1",), "`mean` must be three finite numbers"),
        (("mean = [nan, 0, 0]",), "`mean` must be three finite numbers"),
        (("mean = [0, 0, 0]", "std = [1, inf, 1]"), "`std` must be three finite numbers"),
        (("mean = [0, 0, 0]", "std = [1, 1, 1]"), "`activation` must be given"),
        (("mean = [0, 0, 0]", "std = [1, 1, 1]", 'activation = "relu"'), "`activation` must be one of"),
        (("mean = [0, 0",), "not valid TOML"),
    ],
)
def test_a_file_beside_that_cannot_be_used(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    path = _beside(_mean_network(tmp_path / "net.onnx"), *lines)
    with pytest.raises(WeightsError, match=message) as refused:
        OnnxPrior(path)
    assert "net.onnx.toml" in str(refused.value)


def test_one_bright_pixel_moves_no_other(tmp_path: Path) -> None:
    path = _mean_network(tmp_path / "net.onnx")
    network = Network(fit="any", side=0, multiple=1, activation="alpha", **PLAIN, input="image", output="alpha")
    prior, dark = OnnxPrior(path, _entry(network, path)), np.full((32, 32, 3), 0.1, np.float32)
    spot = dark.copy()
    spot[3, 4] = 1
    assert np.argwhere(prior(spot, LowResHints()).alpha != prior(dark, LowResHints()).alpha).tolist() == [[3, 4]]


@pytest.mark.parametrize(("channels", "kind"), [(4, "channel"), (6, "one-hot")])
def test_trimaps_go_in_as_the_network_takes_them(tmp_path: Path, channels: int, kind: str) -> None:
    prior = OnnxPrior(_beside(_mean_network(tmp_path / "net.onnx", channels, pick=channels - 1)))
    assert prior.network.trimap == kind and prior.needs_trimap
    trimap = np.zeros((30, 50), np.uint8)
    trimap[:, 10:40], trimap[:, 40:] = 128, 255
    result = prior(np.zeros((30, 50, 3), np.float32), LowResHints(trimap)).alpha
    assert (result[:, :10] == 0).all() and (result[:, 40:] == 1).all()
    assert np.allclose(result[:, 10:40], 0.5 if kind == "channel" else 0.0)
    with pytest.raises(InputError, match="needs a trimap"):
        prior(np.zeros((30, 50, 3), np.float32), LowResHints())


def test_colours_go_in_in_the_networks_order(tmp_path: Path) -> None:
    """mean and std stay those of red, green and blue."""
    path = _mean_network(tmp_path / "net.onnx", pick=2)
    lines = ('order = "BGR"', "mean = [0.5, 0, 0]", "std = [0.25, 1, 1]", 'activation = "logits"')
    result = OnnxPrior(_beside(path, *lines))(_ramp(), LowResHints()).alpha
    assert np.abs(result - 1 / (1 + np.exp(-(np.linspace(0, 1, 64) - 0.5) / 0.25))).max() < 0.02


def test_of_two_classes_in_nhwc_the_second_is_the_foreground(tmp_path: Path) -> None:
    path = _save(
        tmp_path / "net.onnx", [_node("Gather", ["image", "index"], "classes", axis=3)],
        {"image": [1, 32, 48, 3]}, {"classes": [1, 32, 48, 2]}, index=np.array([1, 0]),
    )  # fmt: skip
    network = Network(fit="square", side=48, multiple=1, activation="alpha", **PLAIN, layout="NHWC")
    assert OnnxPrior(_beside(path)).network.layout == "NHWC"
    result = OnnxPrior(path, _entry(network, path))(_ramp(), LowResHints()).alpha
    assert np.abs(result - np.linspace(0, 1, 64)).max() < 0.03


def test_states_are_carried_from_frame_to_frame_until_reset(tmp_path: Path) -> None:
    """RVM's signature: pha = src's first channel / 4 + r1i, r1o = pha."""
    path = _save(
        tmp_path / "rvm.onnx",
        [
            _node("Conv", ["src", "w"], "red"), _node("Add", ["red", "r1i"], "pha"), _node("Identity", ["pha"], "r1o"),
            _node("Mul", ["src", "downsample_ratio"], "fgr"),
        ],
        {"src": [1, 3, "h", "w"], "r1i": [1, 1, "a", "b"], "downsample_ratio": [1]},
        {"fgr": [1, 3, "h", "w"], "pha": [1, 1, "h", "w"], "r1o": [1, 1, "h", "w"]},
        w=np.array([0.25, 0, 0], np.float32).reshape(1, 3, 1, 1),
    )  # fmt: skip
    prior = OnnxPrior(_beside(path))
    assert isinstance(prior, RecurrentPrior) and prior.network.recurrence == (("r1i", "r1o"),)
    assert prior.network.ratio == "downsample_ratio" and prior.network.output == "pha"
    white = np.ones((32, 64, 3), np.float32)
    means = [float(prior(white, LowResHints()).alpha.mean()) for _ in range(3)]
    prior.reset()
    assert means == pytest.approx([0.25, 0.5, 0.75]) and prior(white, LowResHints()).alpha.mean() == pytest.approx(0.25)
    assert prior(np.ones((64, 64, 3), np.float32), LowResHints()).alpha.mean() == pytest.approx(0.25)  # another size


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_gives_no_numbers_is_an_error_and_no_matte(tmp_path: Path, value: float) -> None:
    from uhrmat import UhrmatError
    from uhrmat.pipeline import StillPipeline

    weight = np.full((1, 3, 1, 1), value, np.float32)
    shapes = {"image": [1, 3, "n", "m"]}
    path = _save(
        tmp_path / "net.onnx", [_node("Conv", ["image", "w"], "alpha")], shapes, {"alpha": [1, 1, "a", "b"]}, w=weight
    )
    matter = StillPipeline(str(_beside(path)), "bilinear", threads=1, device="cpu")
    with pytest.raises(UhrmatError, match="net returned values that are not finite"):
        matter.matte(np.zeros((40, 64, 3), np.uint8), foreground=False)


SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
BYTE = ('range = "byte"', "mean = [128, 128, 128]", "std = [128, 128, 128]", 'activation = "alpha"')
HALF = ("mean = [0.5, 0.5, 0.5]", "std = [0.5, 0.5, 0.5]")


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("anilsathyan7_Portrait-Segmentation/deeplab_nchw.onnx", (*HALF, 'activation = "softmax:1"')),
        (
            "Chernobyl81_humanseg_tflite/ppseg_lite_portrait_398x224_with_softmax_fixed.onnx",
            (*HALF, 'activation = "alpha"'),
        ),
        ("anilsathyan7_Portrait-Segmentation/SINet_Softmax.onnx", ()),
        ("google_mediapipe/selfie_segmentation.tflite", ()),
        ("google_mediapipe/selfie_segmentation_landscape.tflite", ()),
        ("google-coral_test_data/deeplabv3_mnv2_dm05_pascal_quant.tflite", BYTE),
        ("google-coral_test_data/deeplabv3_mnv2_pascal_quant.tflite", BYTE),
    ],
)
def test_real_networks_find_a_person(tmp_path: Path, file: str, lines: tuple[str, ...]) -> None:
    source, photo = SHARED / "weights" / file, SHARED / "train" / "people" / "photo" / "0017.jpg"
    if not (source.is_file() and photo.is_file()):
        pytest.skip("the networks of other people are not at hand")
    path = tmp_path / "net.onnx"
    if source.suffix == ".tflite":
        pytest.importorskip("tflite")
        from uhrmat.train.subject.tflite import Converter

        Converter(source).save(path)
    else:
        path.write_bytes(source.read_bytes())
    picture = read_picture(photo)
    small = area_average(picture.pixels, (386, 256), 255)
    mask = area_average(read_mask(SHARED / "train" / "people" / "mask" / "0017.png"), (386, 256))
    if lines or source.suffix == ".tflite":
        _beside(path, *lines)
    prior = load_network(str(path), threads=1)
    assert isinstance(prior, OnnxPrior) and prior.name == ("sinet" if "SINet" in file else "net")
    result, true = prior(small, LowResHints()).alpha > 0.5, mask > 0.5
    assert not prior.recurrent and (result & true).sum() > 0.6 * (result | true).sum()


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    with pytest.raises(WeightsError, match="no ONNX network"):
        OnnxPrior(text)
    flat = _save(tmp_path / "flat.onnx", [_node("Identity", ["x"], "y")], {"x": [1, 7]}, {"y": [1, 7]})
    with pytest.raises(WeightsError, match="takes no picture"):
        OnnxPrior(flat)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"uhrmat\[hub-priors\]"):
        OnnxPrior(flat)


@pytest.mark.parametrize(
    ("device", "offered", "first"),
    [
        ("cpu", [CUDA, CPU], CPU),
        ("cuda", [CUDA, CPU], (CUDA, {"device_id": 0})),
        ("cuda:1", [CUDA, CPU], (CUDA, {"device_id": 1})),
        ("cuda:1", [CPU], CPU),
        ("mps", [CUDA, CPU], CPU),
    ],
)
def test_a_network_runs_on_the_device_that_was_asked_for(device: str, offered: list[str], first: object) -> None:
    providers = execution_providers(device, offered)
    assert providers[0] == first and providers[-1] == CPU


def test_a_network_that_cannot_run_on_the_gpu_says_so(tmp_path: Path) -> None:
    path = _beside(_mean_network(tmp_path / "net.onnx", side=32))
    notes = {name: OnnxPrior(path, device=name)(_ramp(), LowResHints()).notes for name in ("cpu", "cuda:1")}
    assert notes["cpu"] == [] and len(notes["cuda:1"]) == 1 and "cuda:1" in notes["cuda:1"][0]
