"""What the package gives for pictures of every kind."""

import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

import mobilenet_wgpu


def pixels(seed=0, size=(40, 60, 3)):
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def test_a_photo_is_classified(classifier, photo):
    best = classifier.classify(photo, top=3)
    assert len(best) == 3 and best[0].probability >= best[1].probability >= best[2].probability
    assert best[0].label == classifier.labels[best[0].index]
    assert "Prediction(index=" in repr(best[0])


def test_every_kind_of_picture_gives_the_same(classifier, photo):
    image = Image.open(photo)
    rgb = np.asarray(image.convert("RGB"))
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    expected = classifier.run(rgb)["logits"]
    for name, other in {"RGBA": rgba, "not in one piece": rgba[:, :, :3], "PIL": image.convert("RGB"), "list": [rgb], "4-D": rgb[None]}.items():
        np.testing.assert_array_equal(classifier.run(other)["logits"], expected, err_msg=name)
    for kind in (photo, str(photo), photo.read_bytes()):
        np.testing.assert_array_equal(classifier.run(kind)["logits"], expected)


def test_grey_is_grey(classifier):
    grey = pixels(size=(30, 30))
    expected = classifier.run(np.dstack([grey] * 3))["logits"]
    for other in (grey, grey[:, :, None], Image.fromarray(grey)):
        np.testing.assert_array_equal(classifier.run(other)["logits"], expected)


def test_pil_images_stand_upright(classifier):
    image = Image.fromarray(pixels())
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6  # to be turned clockwise by 90 degrees
    np.testing.assert_array_equal(classifier.run(turned)["logits"], classifier.run(image)["logits"])


def test_batches_of_any_length_are_as_their_pictures(classifier):
    batch = [pixels(seed, (33 + seed, 50, 3)) for seed in range(7)]
    together = classifier.run(batch)
    assert together["logits"].shape == (7, len(classifier.labels)) and together["logits"].dtype == np.float32
    for i, picture in enumerate(batch):
        np.testing.assert_allclose(together["logits"][i], classifier.run(picture)["logits"][0], rtol=1e-4, atol=1e-4)
    assert [len(best) for best in classifier.classify(batch, top=2)] == [2] * 7


def test_probabilities_and_predictions_agree(classifier):
    outputs = classifier.run([pixels(1), pixels(2)])
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-4)
    best = classifier.predictions(outputs, top=1)
    assert [b[0].index for b in best] == outputs["probabilities"].argmax(axis=1).tolist()


def test_embeddings(classifier):
    one, two = classifier.embed(pixels(1)), classifier.embed([pixels(1), pixels(2)], normalize=True)
    assert one.ndim == 1 and two.shape == (2, one.shape[0])
    np.testing.assert_allclose(np.linalg.norm(two, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(two[0], one / np.linalg.norm(one), rtol=1e-3, atol=1e-5)


def test_maps_have_four_axes(model):
    features = mobilenet_wgpu.Classifier(model, outputs=["features"], size=(64, 96), cpu=True)
    found = features.run(pixels())["features"]
    assert features.input_size == (64, 96) and features.outputs == ["features"]
    assert found.ndim == 4 and found.shape[0] == 1 and found.shape[2] * 2 == found.shape[1] * 3


def test_gpu_and_cpu_agree(classifier, on_cpu):
    assert "CPU" in on_cpu.backend
    batch = [pixels(seed) for seed in range(3)]
    np.testing.assert_allclose(classifier.run(batch)["logits"], on_cpu.run(batch)["logits"], rtol=1e-3, atol=1e-3)


def test_tensors_in_both_layouts(classifier):
    height, width = classifier.input_size
    values = np.random.default_rng(3).normal(size=(2, height, width, 3)).astype(np.float32)
    expected = classifier.run_tensor(values)["logits"]
    found = classifier.run_tensor(values.transpose(0, 3, 1, 2), layout="nchw")["logits"]
    np.testing.assert_array_equal(found, expected)


def test_jobs(classifier):
    expected = classifier.run(pixels(5))["logits"]
    jobs = [classifier.submit(pixels(5)) for _ in range(2)]
    if "CPU" not in classifier.backend:
        with pytest.raises(mobilenet_wgpu.BusyError):
            classifier.submit(pixels(5))
    while not jobs[0].done():
        time.sleep(0.001)
    for job in jobs:
        np.testing.assert_array_equal(job.result()["logits"], expected)
    with pytest.raises(mobilenet_wgpu.InputError, match="taken already"):
        jobs[0].result()


def test_other_threads_go_on_meanwhile(on_cpu):
    """The interpreter's lock is given up: a thread that counts is not held up by one that computes."""
    count, stop = [0], threading.Event()

    def counting():
        while not stop.is_set():
            count[0] += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=counting)
    thread.start()
    started = time.perf_counter()
    on_cpu.run([pixels(seed, (224, 224, 3)) for seed in range(24)])
    took, counted = time.perf_counter() - started, count[0]
    stop.set()
    thread.join()
    assert counted > took * 20, f"{counted} turns in {took:.2f} s"


def test_threads_share_a_classifier(classifier):
    expected = classifier.run(pixels(8))["logits"]
    found = [None] * 4

    def work(i):
        found[i] = classifier.run(pixels(8))["logits"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for logits in found:
        np.testing.assert_array_equal(logits, expected)


def test_a_model_in_memory_and_labels_of_ones_own(model, photo):
    names = [f"thing {i}" for i in range(10)]
    own = mobilenet_wgpu.Classifier(model.read_bytes(), labels=names, cpu=True)
    assert own.labels == names and own.classify(photo, top=1)[0].label.startswith("thing ")
    assert "mobilenet_v2" in own.description and "mobilenet_v2" in repr(own)


def test_adapters():
    for adapter in mobilenet_wgpu.adapters():
        assert {"index", "name", "backend", "driver", "f16"} <= adapter.keys()
    with pytest.raises(mobilenet_wgpu.OptionError, match="backend"):
        mobilenet_wgpu.adapters("no such")


def test_errors_say_what_to_do(classifier, model, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no checkpoint at all")
    mn = mobilenet_wgpu
    cases = [
        (lambda: mn.Classifier("no/such/file.safetensors"), mn.FileError, OSError),
        (lambda: mn.Classifier(bad), mn.CheckpointError, ValueError),
        (lambda: mn.Classifier(model, adapter="no such adapter", fallback=False), mn.NoAdapterError, mn.Error),
        (lambda: mn.Classifier(model, precision="f8"), mn.OptionError, ValueError),
        (lambda: mn.Classifier(model, batch=0), mn.OptionError, ValueError),
        (lambda: mn.Classifier(model, outputs=["nonsense"], cpu=True), mn.CheckpointError, mn.Error),
        (lambda: classifier.run(pixels().astype(np.float32)), mn.InputError, ValueError),
        (lambda: classifier.run(np.zeros((0, 4, 3), np.uint8)), mn.InputError, ValueError),
        (lambda: classifier.run(np.zeros((4, 4, 2), np.uint8)), mn.InputError, ValueError),
        (lambda: classifier.run([]), mn.InputError, ValueError),
        (lambda: classifier.run(7), mn.InputError, ValueError),
        (lambda: classifier.run(b"no picture"), mn.InputError, ValueError),
        (lambda: classifier.run("no/such/photo.jpg"), mn.Error, Exception),
        (lambda: classifier.run_tensor(np.zeros((1, 5, 5, 3), np.float32)), mn.InputError, ValueError),
        (lambda: classifier.run_tensor(np.zeros((1, 5, 5, 3))), mn.InputError, ValueError),
    ]
    for call, error, base in cases:
        with pytest.raises(error) as caught:
            call()
        assert isinstance(caught.value, base) and isinstance(caught.value, mn.Error) and str(caught.value)


def safetensors(path):
    """The f32 tensors of a file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {k: np.frombuffer(body[slice(*v["data_offsets"])], np.float32).reshape(v["shape"]) for k, v in header.items() if v["dtype"] == "F32"}


def test_full_checkpoints_give_what_their_framework_gave(assets):
    folder = assets / "models/mobilenet_v2_1.0_224_torch"
    golden = safetensors(folder / "golden.safetensors")
    classifier = mobilenet_wgpu.Classifier(folder)
    values, logits = golden["input_1"], golden["logits_1"].reshape(1, -1)
    found = classifier.run_tensor(values.reshape(1, 3, 224, 224), layout="nchw")["logits"]
    np.testing.assert_allclose(found, logits, atol=2e-3 * np.abs(logits).max())
