"""Settings: what wins over what, and what is refused."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from server.config import VIDEO_CODECS, Settings, SettingsError, add_arguments
from server.encoder import VideoCodec


def load(*flags: str, environment: dict[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return Settings.load(parser.parse_args(flags), environment or {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vivant.toml"
    path.write_text('port = 3\nsize = 256\nvoice = "joe"\nice_servers = ["stun:a:1"]\n')
    return path


def test_defaults_are_safe() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.size, settings.fps) == (
        "127.0.0.1",
        8080,
        512,
        25,
    )
    assert settings.ice_servers == ()


def test_a_time_of_zero_is_no_limit() -> None:
    assert load("--quiet-timeout", "0", "--max-time", "90").quiet_timeout == 0


def test_flags_win_over_environment_over_file(file: Path) -> None:
    environment = {"VIVANT_PORT": "2", "VIVANT_SIZE": "384"}
    settings = load("--port", "1", "--config", str(file), environment=environment)
    assert (settings.port, settings.size, settings.voice) == (1, 384, "joe")
    assert settings.ice_servers == ("stun:a:1",)


def test_the_file_may_be_named_by_the_environment(file: Path) -> None:
    assert load(environment={"VIVANT_CONFIG": str(file)}).port == 3


def test_lists_are_separated_by_commas_on_the_command_line() -> None:
    settings = load("--ice-servers", "stun:a:1, turn:b:2")
    assert settings.ice_servers == ("stun:a:1", "turn:b:2")


def test_origins_are_given_one_by_one_or_by_commas(tmp_path: Path) -> None:
    assert load().allow_origin == ()
    both = ("https://example.org", "http://127.0.0.1:8000")
    assert load("--allow-origin", both[0], "--allow-origin", both[1]).allow_origin == both
    assert load(environment={"VIVANT_ALLOW_ORIGIN": ", ".join(both)}).allow_origin == both
    (tmp_path / "vivant.toml").write_text('allow_origin = ["https://Example.org"]\n')
    config = str(tmp_path / "vivant.toml")
    assert load("--config", config).allow_origin == ("https://example.org",)
    assert load("--config", config, "--allow-origin", "*").allow_origin == ("*",)


def test_video_codecs_are_in_the_order_of_preference(tmp_path: Path) -> None:
    assert load().video_codecs == ("vp8", "h264")
    assert load("--video-codecs", "vp9, vp8").video_codecs == ("vp9", "vp8")
    (tmp_path / "vivant.toml").write_text('video_codecs = ["h264"]\n')
    assert load("--config", str(tmp_path / "vivant.toml")).video_codecs == ("h264",)


def test_every_codec_of_the_settings_has_an_encoder() -> None:
    assert {codec.value.lower() for codec in VideoCodec} == set(VIDEO_CODECS)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--port", "70000"),
        ("--port", "http"),
        ("--size", "255"),
        ("--size", "513"),
        ("--fps", "9"),
        ("--fps", "25.5"),
        ("--steps", "3"),
        ("--allow-origin", "example.org"),
        ("--allow-origin", "https://example.org/"),
        ("--allow-origin", "https://user@example.org"),
        ("--allow-origin", "https://"),
        ("--allow-origin", "file://"),
        ("--allow-origin", ""),
        ("--video-codecs", "vp8,theora"),
        ("--video-codecs", "vp8,vp8"),
        ("--video-codecs", ","),
        ("--host", ""),
        ("--max-sessions", "0"),
        ("--core-share", "1.1"),
        ("--quiet-timeout", "0.5"),
        ("--max-time", "never"),
        ("--core-share", "most"),
        ("--idle-timeout", "nan"),
        ("--ice-servers", "example.org"),
        ("--brain", "clever"),
        ("--brain-url", "localhost:8000"),
        ("--transcriber", "ears"),
    ],
)
def test_impossible_values_name_the_flag_and_the_value(flag: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(flag, value)
    assert flag in str(caught.value)
    assert repr(value) in str(caught.value)


def test_an_impossible_value_is_shown_without_its_password() -> None:
    with pytest.raises(SettingsError, match=r"--brain-url .*not 'http://user:\.\.\.@host/v1'"):
        load("--brain-url", "http://user:word@host/v1")


def test_an_impossible_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="VIVANT_FPS must be a whole number from 10 to 60"):
        load(environment={"VIVANT_FPS": "fast"})


def test_a_key_comes_by_the_environment_has_no_flag_and_is_never_shown() -> None:
    environment = {"VIVANT_BRAIN_KEY": "sk-secret", "VIVANT_BRAIN_URL": "http://a:1/v1"}
    settings = load(environment=environment)
    assert settings.brain_key == "sk-secret"
    assert "sk-secret" not in repr(settings)
    with pytest.raises(SystemExit):
        load("--brain-key", "sk-secret")
    with pytest.raises(SettingsError, match="VIVANT_BRAIN_KEY must be a key") as caught:
        load(environment={"VIVANT_BRAIN_KEY": "two words"})
    assert "two words" not in str(caught.value)
    assert load("--brain-fallback", "").brain_fallback == ""


def test_unknown_keys_are_refused_with_the_valid_ones(tmp_path: Path) -> None:
    path = tmp_path / "vivant.toml"
    path.write_text("prot = 1\n")
    with pytest.raises(SettingsError, match=r"unknown prot; valid are host, port"):
        load("--config", str(path))


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = true", b"size = 512.5"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vivant.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"vivant\.toml"):
        load("--config", str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load("--config", str(tmp_path / "none.toml"))
