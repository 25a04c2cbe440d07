"""Settings: where a value comes from, which one wins, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from okws_celery.errors import BAD_COMMAND, ConfigError
from okws_celery.settings import Settings, load


def write(folder: Path, name: str, text: str) -> dict[str, str]:
    """An environment that names a config file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return {"OKWS_CONFIG": str(path)}


class TestSources:
    def test_defaults(self) -> None:
        """With nothing given, the documented defaults hold."""
        settings = load({})
        assert settings == Settings()
        assert settings.redis_url == "redis://localhost:6379/0"
        assert (settings.prefix, settings.namespace, settings.publish) == ("okex", "okws", "both")
        assert (settings.max_rows, settings.max_log, settings.max_sessions) == (1000, 10_000, 256)
        assert settings.timeout_s == 10
        assert settings.endpoints({}).ws_url == "wss://ws.okx.com:8443/ws/v5"
        assert settings.given == frozenset()

    def test_environment(self) -> None:
        """Each variable sets its setting, in the setting's type."""
        settings = load({"OKWS_MAX_SESSIONS": "3", "OKWS_TIMEOUT": "2.5", "OKWS_DEMO": "1", "OKWS_PREFIX": "x"})
        assert (settings.max_sessions, settings.timeout_s, settings.demo, settings.prefix) == (3, 2.5, True, "x")
        assert settings.given == {"max_sessions", "timeout_s", "demo", "prefix"}

    def test_empty_variable_counts_as_unset(self) -> None:
        """`OKWS_PROXY= okws run` gives no proxy and no error."""
        assert load({"OKWS_MAX_ROWS": "", "OKWS_CONFIG": ""}) == Settings()

    def test_toml_file(self, tmp_path: Path) -> None:
        """A TOML file has [settings] and [profiles.<name>]."""
        text = '[settings]\nmax_rows = 5\nregion = "eea"\n[profiles.Main]\napiKey = "k"\nsecret = "s"\npassword = "p"\n'
        settings = load(write(tmp_path, "okws.toml", text))
        assert (settings.max_rows, settings.region) == (5, "eea")
        assert settings.profiles == {"main": {"apiKey": "k", "secret": "s", "password": "p"}}

    def test_ini_file_of_okws_2020(self, tmp_path: Path) -> None:
        """The old file's section and names are understood; names of variables work as well."""
        settings = load(write(tmp_path, "okws.ini", "[config]\nredis = redis://r:1\nOKWS_MAX_LOG = 7\n"))
        assert (settings.redis_url, settings.max_log) == ("redis://r:1", 7)

    def test_environment_wins_over_file(self, tmp_path: Path) -> None:
        """The file is the weaker of the two, for settings and for profiles."""
        environ = write(tmp_path, "a.toml", '[settings]\nmax_rows = 5\nmax_log = 6\n[profiles.a]\nregion = "us"\n')
        settings = load(environ | {"OKWS_MAX_ROWS": "9", "OKWS_PROFILE_A": '{"region": "eea"}'})
        assert (settings.max_rows, settings.max_log) == (9, 6)
        assert settings.profiles == {"a": {"region": "eea"}}

    def test_changed_copy(self) -> None:
        """What a command line changes is checked as well and counts as given."""
        assert Settings().with_(publish="rows").given == {"publish"}
        with pytest.raises(ConfigError, match="OKWS_PUBLISH 'all': both, pushes, rows, none are accepted"):
            Settings().with_(publish="all")


class TestEndpoints:
    def test_options_win_over_settings_and_a_url_over_a_region(self) -> None:
        """One worker can hold sessions of several regions."""
        settings = load({"OKWS_REGION": "us", "OKWS_DEMO": "1"})
        assert settings.endpoints({}).ws_url == "wss://wsuspap.okx.com:8443/ws/v5"
        assert settings.endpoints({"region": "eea", "demo": False}).ws_url == "wss://wseea.okx.com:8443/ws/v5"
        assert settings.endpoints({"ws_url": "ws://127.0.0.1:1/ws/v5"}).ws_url == "ws://127.0.0.1:1/ws/v5"


class TestMistakes:
    @pytest.mark.parametrize(
        ("environ", "said"),
        [
            ({"OKWS_REGION": "mars"}, "OKWS_REGION 'mars': global, us, eea are accepted"),
            ({"OKWS_MAX_ROWS": "many"}, "OKWS_MAX_ROWS: a whole number is accepted for max_rows"),
            ({"OKWS_MAX_ROWS": "0"}, "OKWS_MAX_ROWS: a number above 0 is accepted"),
            ({"OKWS_BACKFILL": "1001"}, "OKWS_BACKFILL: 0 .none. to 1,000 candles are accepted"),
            ({"OKWS_BACKFILL": "-1"}, "OKWS_BACKFILL: 0 .none. to 1,000 candles are accepted"),
            ({"OKWS_TIMEOUT": "nan"}, "OKWS_TIMEOUT: a number above 0 is accepted"),
            ({"OKWS_BOOK_DEPTH": "-1"}, "OKWS_BOOK_DEPTH: 0 .* or a number of levels is accepted"),
            ({"OKWS_DEMO": "maybe"}, "OKWS_DEMO: 1 or 0 is accepted for demo"),
            ({"OKWS_PREFIX": "a/b"}, "OKWS_PREFIX: letters, digits, - and _ are accepted"),
            ({"OKWS_PROFILE_X": "{"}, "OKWS_PROFILE_X: a JSON object is accepted"),
            ({"OKWS_CONFIG": "/nowhere/okws.toml"}, "config file /nowhere/okws.toml: No such file or directory"),
        ],
    )
    def test_variable(self, environ: dict[str, str], said: str) -> None:
        """One line names the variable and what is accepted; its code is 80010."""
        with pytest.raises(ConfigError, match=said) as caught:
            load(environ)
        assert "\n" not in str(caught.value)
        assert caught.value.code == BAD_COMMAND

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            (
                "a.toml",
                "[settings]\nmax_rowz = 1\n",
                r"a.toml, line 2, \[settings\] max_rowz: no setting 'max_rowz'; accepted",
            ),
            (
                "a.toml",
                "[settings]\nmax_rows = []\n",
                r"a.toml, line 2, \[settings\] max_rows: a whole number is accepted",
            ),
            ("a.toml", "[settings]\nredis_url = 1\n", r"a.toml, line 2, \[settings\] redis_url: text is accepted"),
            (
                "a.toml",
                "[settings]\nmax_rows = true\n",
                r"a.toml, line 2, \[settings\] max_rows: a whole number is accepted",
            ),
            ("a.toml", "settings = 1\n", r"a.toml, line 1: \[settings\] must be a table"),
            ("a.toml", "[setings]\n", r"a.toml, line 1: section \[setings\] is not known; \[settings\], "),
            ("a.toml", "[settings\n", "a.toml, line 1: not TOML"),
            (
                "a.toml",
                "[settings]\nregion = 'us'\nmax_rows = 0",
                r"line 3, \[settings\] max_rows: OKWS_MAX_ROWS: a num",
            ),
            ("a.yaml", "settings:\n  MAX_ROW: many", r"a.yaml, line 2, \[settings\] MAX_ROW: a whole number"),
            ("a.ini", "[config]\njust words\n", "a.ini, line 2: 'key = value' is accepted"),
            ("a.ini", "redis = x\n", r"a.ini, line 1: a \[section\] must come first"),
            ("a.ini", "[config]\na = 1\na = 2\n", r"a.ini, line 3, \[config\] a: a stands there twice"),
            ("a.ini", "[config]\nregion = mars\n", r"a.ini, line 2, \[config\] region: OKWS_REGION 'mars': global"),
            ("a.txt", "", "a.txt: a name that ends in .toml, .yaml, .yml, .ini, .cfg or .conf is accepted"),
        ],
    )
    def test_file(self, tmp_path: Path, name: str, text: str, said: str) -> None:
        """The file and the place in it are named."""
        with pytest.raises(ConfigError, match=said):
            load(write(tmp_path, name, text))

    def test_no_value_is_shown(self, tmp_path: Path) -> None:
        """A secret that stands in a wrong place appears in no message, and settings do not show theirs."""
        for name, text in [
            ("a.ini", "[config]\nmax_rows = hunter2\n"),
            ("b.ini", "[config]\nhunter2\n"),
            ("c.toml", '[settings]\nmax_rows = "hunter2"\n'),
            ("d.toml", '[profiles]\nmain = "hunter2"\n'),
        ]:
            with pytest.raises(ConfigError) as caught:
                load(write(tmp_path, name, text))
            assert "hunter2" not in str(caught.value)
        settings = load({"OKWS_SECRET_KEY": "hunter2", "OKWS_PROFILE_A": '{"secret": "hunter2"}'})
        assert "hunter2" not in repr(settings)
