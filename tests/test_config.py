"""Every setting unset, empty, malformed; the secret key made once, by whoever comes first."""

import errno
import logging
import os
import stat

import pytest
from kit import together

from movierec import config
from movierec.config import KEYS, ROOT, BadConfig

KEY = "k" * 32


def read(tmp_path, **environ):
    return config.read(environ={"INSTANCE_DIR": str(tmp_path / "instance"), "SECRET_KEY": KEY} | environ)


def test_all_unset(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "ROOT", tmp_path)
    settings = config.read(environ={})
    assert settings["INSTANCE_DIR"] == tmp_path / "instance"
    assert settings["DATA_DIR"] == tmp_path / "data"
    assert settings["MODELS_DIR"] == tmp_path / "models"
    assert (settings["HOST"], settings["PORT"], settings["WEB_CONCURRENCY"]) == ("127.0.0.1", 5000, 2)
    assert settings["SQLALCHEMY_DATABASE_URI"] == f"sqlite:///{tmp_path}/instance/movierec.sqlite3"
    assert settings["REDIS_URL"] == f"unix://{tmp_path}/instance/valkey.sock"
    assert (settings["EMBEDDED_REDIS"], settings["HTTPS"], settings["TRUSTED_PROXIES"]) == (True, False, 0)
    assert len(settings["SECRET_KEY"]) >= 64


def test_a_key_set_to_nothing_counts_as_not_set(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "ROOT", tmp_path)
    assert config.read(environ=dict.fromkeys(KEYS, "")) == config.read(environ={})


def test_every_key_says_what_it_means():
    for key, (default, meaning) in KEYS.items():
        assert key == key.upper()
        assert isinstance(default, str)
        assert len(meaning) > 8, key


MALFORMED = [
    ("PORT", "http"), ("PORT", "0"), ("PORT", "65536"), ("PORT", "-1"), ("PORT", "5000.0"), ("PORT", "5 000"),
    ("TRUSTED_PROXIES", "yes"), ("TRUSTED_PROXIES", "11"), ("WEB_CONCURRENCY", "0"), ("WEB_CONCURRENCY", "many"),
    ("REGISTRATION", "yes"), ("REGISTRATION", "ON"), ("MOVIEREC_PUBLIC_DEMO", "true"), ("LOG_LEVEL", "loud"),
    ("PUBLIC_URL", "films.example.org"), ("PUBLIC_URL", "ftp://x"), ("PUBLIC_URL", "https://"), ("PUBLIC_URL", "http://["),
    ("PUBLIC_URL", "https://example.org/films"), ("PUBLIC_URL", "https://example.org?x=1"),
    ("DATABASE_URL", "postgresql://localhost/films"), ("DATABASE_URL", "sqlite://"), ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"), ("DATABASE_URL", "films.sqlite3"),
    ("REDIS_URL", "localhost:6379"), ("REDIS_URL", "http://localhost"),
    ("LLM_PROVIDER", "openai"), ("LLM_ALLOW_LOCAL", "yes"), ("LLM_CONCURRENT", "0"), ("LLM_SITE_CALLS", "-1"),
    ("LLM_VIEWER_TOKENS", "1e6"), ("LLM_PRICE_IN", "free"), ("LLM_PRICE_OUT", "-1"), ("LLM_PRICE_OUT", "nan"),
    ("SECRET_KEY", "changeme"), ("SECRET_KEY", "dev"), ("SECRET_KEY", "!!changeme!!"), ("SECRET_KEY", "k" * 31),
    ("HEALTH_TOKEN", "changeme"), ("HEALTH_TOKEN", "k" * 31),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), MALFORMED)
def test_malformed_values_are_refused_by_name(tmp_path, key, value):
    with pytest.raises(BadConfig, match=key) as caught:
        read(tmp_path, **{key: value})
    assert any(verb in str(caught.value) for verb in ("set it", "must", "remove it"))
    assert KEY not in str(caught.value)


def test_good_values_are_taken(tmp_path):
    given = {
        "PORT": "8080",
        "PUBLIC_URL": "https://films.example.org:8443/",
        "DATABASE_URL": f"sqlite:///{tmp_path}/elsewhere.sqlite3",
        "REDIS_URL": "redis://:word@10.0.0.1:6379/2",
        "DATA_DIR": "data/../data",
    }
    settings = read(tmp_path, **given)
    assert (settings["PORT"], settings["HTTPS"], settings["EMBEDDED_REDIS"]) == (8080, True, False)
    assert settings["PUBLIC_URL"] == "https://films.example.org:8443"
    assert settings["SQLALCHEMY_DATABASE_URI"] == given["DATABASE_URL"]
    assert settings["REDIS_URL"] == given["REDIS_URL"]
    assert settings["DATA_DIR"] == ROOT / "data"
    assert settings["SECRET_KEY"] == KEY


@pytest.mark.parametrize(
    ("settings", "address", "own_address"),
    [
        ({}, "http://localhost:5000", "http://127.0.0.1:5000"),
        ({"HOST": "::1", "PORT": "80"}, "http://localhost:80", "http://[::1]:80"),
        ({"HOST": "0.0.0.0"}, "http://localhost:5000", "http://127.0.0.1:5000"),
        ({"HOST": "::"}, "http://localhost:5000", "http://[::1]:5000"),
        ({"HOST": "127.0.0.2"}, "http://127.0.0.2:5000", "http://127.0.0.2:5000"),
        ({"HOST": "192.168.1.5"}, "http://192.168.1.5:5000", "http://192.168.1.5:5000"),
        ({"HOST": "2001:db8::1"}, "http://[2001:db8::1]:5000", "http://[2001:db8::1]:5000"),
        ({"HOST": "::", "PUBLIC_URL": "https://films.example.org/"}, "https://films.example.org", "http://[::1]:5000"),
    ],
)
def test_where_the_site_is_for_people_and_for_this_machine(tmp_path, settings, address, own_address):
    made = read(tmp_path, **settings)
    assert (config.address(made), config.own_address(made)) == (address, own_address)


def test_loopback_is_what_only_this_machine_reaches():
    assert all(map(config.loopback, [*config.LOOPBACK, "127.0.0.2"]))
    assert not any(map(config.loopback, [*config.ANYWHERE, "192.168.1.5", "2001:db8::1", "example.org", ""]))


def test_a_folder_of_data_sets_means_the_same_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path, MOVIEREC_DATASETS="sets")["MOVIEREC_DATASETS"] == str(ROOT / "sets")
    assert read(tmp_path, MOVIEREC_DATASETS=str(tmp_path))["MOVIEREC_DATASETS"] == str(tmp_path)
    assert read(tmp_path)["MOVIEREC_DATASETS"] == ""


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR"])
def test_our_own_logger_says_what_log_level_says(make_app, level):
    make_app(LOG_LEVEL=level)
    assert logging.getLevelName(logging.getLogger("movierec.services.jobs").getEffectiveLevel()) == level


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setattr(os, "environ", {"PORT": "6001", "SECRET_KEY": KEY})
    (tmp_path / ".env").write_text("PORT=6000\nHOST=0.0.0.0\n# a remark\n")
    settings = config.read()
    assert (settings["PORT"], settings["HOST"]) == (6001, "0.0.0.0")


def test_an_unreadable_file_of_settings_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setattr(os, "environ", {"SECRET_KEY": KEY})
    (tmp_path / ".env").write_bytes(b"HOST=\xff\xfe\n")
    with pytest.raises(BadConfig, match=r"\.env"):
        config.read()


def test_the_secret_key_is_made_once_and_only_for_its_owner(tmp_path):
    first = read(tmp_path, SECRET_KEY="")["SECRET_KEY"]
    file = tmp_path / "instance" / "secret_key"
    assert read(tmp_path, SECRET_KEY="")["SECRET_KEY"] == first == file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.parent.iterdir()] == ["secret_key"]


def test_of_many_first_starters_all_have_the_same_key(tmp_path):
    keys = together(16, lambda _: read(tmp_path, SECRET_KEY="")["SECRET_KEY"])
    assert len(set(keys)) == 1
    assert [each.name for each in (tmp_path / "instance").iterdir()] == ["secret_key"]


def test_a_kept_key_that_is_a_placeholder_or_empty_is_refused(tmp_path):
    (tmp_path / "instance").mkdir()
    for word in ("changeme", ""):
        (tmp_path / "instance" / "secret_key").write_text(word)
        with pytest.raises(BadConfig, match="secret_key"):
            read(tmp_path, SECRET_KEY="")


def test_a_folder_that_can_not_be_written_is_named(tmp_path, monkeypatch):
    """As somebody who is not root meets it."""
    real = os.open

    def refuse(path, flags, *rest):
        if "secret_key" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BadConfig, match=r"Permission denied.*SECRET_KEY"):
        read(tmp_path, SECRET_KEY="")


def test_an_instance_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadConfig, match="INSTANCE_DIR"):
        read(tmp_path, INSTANCE_DIR=str(tmp_path / "file" / "instance"))
