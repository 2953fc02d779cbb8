"""Shared by the tests of the stand-ins: a person in front of a camera, and a digest of a folder."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fer3d.standins.people.person import make_person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights


@pytest.fixture(scope="session")
def make_renderer() -> Callable[..., Renderer]:
    """A renderer of the person with the given name."""

    def make(*name: object) -> Renderer:
        person = make_person(*name)
        lights = three_point_lights(random_stream("scene", *name), 0.75, 0.3, 0.25)
        return Renderer(person, Scene(lights=lights, exposure=auto_exposure(person), scale=1.1))

    return make


@pytest.fixture(scope="session")
def renderer(make_renderer: Callable[..., Renderer]) -> Renderer:
    return make_renderer("test", 3)


@pytest.fixture(scope="session")
def digest() -> Callable[[Path], str]:
    """A digest of the names and contents of all files in a folder."""

    def of_folder(folder: Path) -> str:
        whole = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            whole.update(str(path.relative_to(folder)).encode() + path.read_bytes())
        return whole.hexdigest()

    return of_folder
