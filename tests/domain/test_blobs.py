"""Where the files of a checkpoint lie."""

from app.domain.blobs import checkpoint_folder, checkpoint_key, described


def test_what_comes_late_lies_beside_what_is_there() -> None:
    first, late = (described("state.safetensors", data) for data in (b"seconds: 1", b"seconds: 2"))

    assert checkpoint_key("ckpt_1", first) != checkpoint_key("ckpt_1", late)
    assert checkpoint_key("ckpt_1", first) == checkpoint_key("ckpt_1", described("state.safetensors", b"seconds: 1"))
    assert all(checkpoint_key("ckpt_1", file).startswith(checkpoint_folder("ckpt_1") + "/") for file in (first, late))
