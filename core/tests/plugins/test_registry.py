from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from core.tests.plugins.builders import Site, empty, load, open_volumes, other_load
from loadstone._plugins import PluginPolicy, Registry, default_registry
from loadstone.errors import (
    LoadstoneError,
    PluginContractError,
    PluginLoadError,
    SchemeConflictError,
    UnknownSchemeError,
)
from loadstone.hookspecs import ImageLoader, VolumeLoader

if TYPE_CHECKING:
    from loadstone.context import LoadContext
    from loadstone.ids import ImageId
    from loadstone.image import Image


class TestDispatch:
    def test_first_use_imports_that_one_plugin(self, site: Site) -> None:
        """Using a scheme imports the plugin that claims it and no other."""
        first, second = (
            site.add("first-loader", images=("first",)),
            site.add("second-loader", images=("second",)),
        )
        registry = site.registry()
        before = {first, second} & set(sys.modules)

        found = registry.image_loader("first")

        assert not before
        assert {first, second} & set(sys.modules) == {first}
        assert found.record.scheme == "first"
        assert (found.info.plugin, found.info.distribution, found.info.version) == (
            first,
            "first-loader",
            "1.0",
        )

    def test_two_schemes_of_one_module_are_one_plugin(self, site: Site) -> None:
        """Two entry points that name the same module work, for images and volumes, and it is asked once."""
        site.add(images=("acme", "acme2"), volumes=("acme",), code="asked = []\n")
        registry = site.registry()

        assert registry.image_loader("acme2").record.scheme == "acme2"
        assert registry.volume_loader("acme").record.scheme == "acme"
        assert registry.image_loader("acme").info is registry.volume_loader("acme").info

    def test_a_second_use_is_the_same_registration(self, site: Site) -> None:
        """What was found once is found again, whatever the case."""
        site.add(images=("AcMe",))
        registry = site.registry()

        assert registry.image_loader("acme") is registry.image_loader("acme")
        assert registry.image_loader("ACME") is registry.image_loader("acme")

    def test_schemes_are_listed_without_importing(self, site: Site) -> None:
        """The schemes of a kind are known from metadata and run-time registrations."""
        module = site.add(images=("zeta", "acme"), volumes=("beta",))
        registry = site.registry()
        registry.register_volume_loader("mem", open_volumes)

        assert registry.image_schemes() == ("acme", "zeta")
        assert registry.volume_schemes() == ("beta", "mem")
        assert module not in sys.modules

    def test_the_process_has_one_registry(self) -> None:
        """The module-level registry is made once."""
        assert default_registry() is default_registry()


class TestPrecedence:
    def test_two_claimants_are_a_conflict_when_used(self, site: Site) -> None:
        """Both names, both versions and the line that decides stand in the error; nothing is imported."""
        modules = {
            site.add("acme-nifti", images=("nifti",), version="3.0"),
            site.add("loadstone-nifti", images=("nifti", "good")),
        }
        registry = site.registry()

        with pytest.raises(SchemeConflictError) as caught:
            registry.image_loader("nifti")

        assert caught.value.claimants == ("acme-nifti 3.0", "loadstone-nifti 1.0")
        assert 'LOADSTONE_PREFER="nifti=' in str(caught.value)
        assert not modules & set(sys.modules)
        assert registry.image_loader("good").info.distribution == "loadstone-nifti"

    @pytest.mark.parametrize("preferred", ["acme-nifti", "loadstone.NIFTI"])
    def test_a_preference_decides(self, site: Site, preferred: str) -> None:
        """The preferred distribution counts, whoever it is."""
        site.add("acme-nifti", images=("nifti",))
        site.add("loadstone-nifti", images=("nifti",))

        found = site.registry(prefer={"NIFTI": preferred}).image_loader("nifti")

        assert found.info.distribution == preferred.lower().replace(".", "-")

    def test_a_preference_for_who_does_not_claim_is_an_error(self, site: Site) -> None:
        """A preferred reader that is not there is never replaced by another one in silence."""
        site.add("loadstone-nifti", images=("nifti",))
        registry = site.registry(prefer={"nifti": "acme-nifti"})

        with pytest.raises(LoadstoneError, match=r"wants acme-nifti for 'nifti'.*loadstone-nifti 1\.0"):
            registry.image_loader("nifti")

    def test_a_preference_says_nothing_about_the_kind_it_does_not_load(self, site: Site) -> None:
        """A preferred distribution with images only leaves volumes to the sole claimant."""
        site.add("acme-nifti", images=("nifti",))
        site.add("loadstone-nifti", images=("nifti",), volumes=("nifti",))
        registry = site.registry(prefer={"nifti": "acme-nifti"})

        assert registry.image_loader("nifti").info.distribution == "acme-nifti"
        assert registry.volume_loader("nifti").info.distribution == "loadstone-nifti"

    def test_disabling_one_claimant_decides(self, site: Site) -> None:
        """Who may not be used does not count as a claimant."""
        site.add("acme-nifti", images=("nifti",))
        site.add("loadstone-nifti", images=("nifti",))

        allowed = (
            PluginPolicy(only=frozenset({"loadstone-nifti"})),
            PluginPolicy(disabled=frozenset({"acme-nifti"})),
        )

        for policy in allowed:
            assert (
                Registry(index=site.index(), policy=policy).image_loader("nifti").info.distribution
                == "loadstone-nifti"
            )

    def test_one_distribution_that_claims_twice_breaks_the_contract(self, site: Site) -> None:
        """No preference could decide between two entry points of one package."""
        site.install("acme", entry_points={"loadstone.image_loaders": {"acme": "one", "ACME": "two"}})

        with pytest.raises(PluginContractError, match="claims the scheme 'acme' with one and two"):
            site.registry().image_loader("acme")

    def test_run_time_wins_only_when_told_to(self, site: Site) -> None:
        """Registering over a plugin needs replace=True, and then the plugin is not even imported."""
        module = site.add("acme-loader")
        registry = site.registry()
        with pytest.raises(LoadstoneError, match=r"claimed by acme-loader 1\.0.*replace=True"):
            registry.register_image_loader("acme", load)

        with registry.register_image_loader("acme", load, replace=True):
            inside = registry.image_loader("acme").record.load

        assert inside is load
        assert module not in sys.modules
        assert registry.image_loader("acme").info.distribution == "acme-loader"

    def test_run_time_decides_a_conflict(self, site: Site) -> None:
        """A loader registered with replace=True serves a scheme that several distributions claim."""
        site.add("one", images=("nifti",))
        site.add("two", images=("nifti",))
        registry = site.registry()
        registry.register_image_loader("nifti", load, replace=True)

        assert registry.image_loader("nifti").record.load is load


class TestSwitches:
    def test_variables_count_at_first_use(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process-wide policy is read when something is used, and again after refresh."""
        site.add("acme-loader")
        registry = Registry(index=site.index())
        monkeypatch.setenv("LOADSTONE_PLUGINS", "")
        with pytest.raises(
            UnknownSchemeError, match=r"acme-loader 1\.0 claims it but is not among LOADSTONE_PLUGINS"
        ):
            registry.image_loader("acme")
        monkeypatch.delenv("LOADSTONE_PLUGINS")
        registry.refresh()

        assert registry.image_loader("acme").record.scheme == "acme"

    def test_a_malformed_variable_is_told_when_used(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Making a registry never fails because of a variable; using it does, and names it."""
        site.add()
        monkeypatch.setenv("LOADSTONE_STRICT", "perhaps")
        registry = Registry(index=site.index())

        for use in (lambda: registry.image_loader("acme"), registry.plugins, registry.activate_schemeless):
            with pytest.raises(LoadstoneError, match="LOADSTONE_STRICT='perhaps'"):
                use()

    def test_strict_imports_everything_at_first_use(self, site: Site) -> None:
        """With every plugin in order, the first use imports all of them."""
        modules = {site.add("one", images=("one",)), site.add("two", images=("two",))}

        site.registry(strict=True).image_loader("one")

        assert modules <= set(sys.modules)

    def test_strict_raises_all_that_is_broken(self, site: Site) -> None:
        """One group has every broken plugin, malformed entry points too; disabled ones are left alone."""
        site.add("good", images=("good",))
        site.add("bad", images=("bad",), source="1 / 0")
        site.add("off", images=("off",), source="1 / 0")
        site.add("wrong", images=("wrong",), source="")
        site.install("malformed", entry_points={"loadstone.image_loaders": {"x": "y"}})
        registry = site.registry(strict=True, disabled={"off"})

        for use in (lambda: registry.image_loader("good"), registry.activate_schemeless):
            with pytest.raises(ExceptionGroup, match="broken plugins: 3") as caught:
                use()
            assert sorted(type(error).__name__ for error in caught.value.exceptions) == [
                "PluginContractError",
                "PluginLoadError",
                "PluginLoadError",
            ]


class TestUnknown:
    def test_lists_what_is_installed_and_what_is_close(self, site: Site) -> None:
        """The error lists the installed schemes and the close ones."""
        site.add(images=("acme", "zeta"))

        with pytest.raises(UnknownSchemeError, match="Did you mean 'acme'") as caught:
            site.registry().image_loader("acne")

        assert caught.value.installed == ("acme", "zeta")

    @pytest.mark.parametrize(
        ("scheme", "package"),
        [
            ("dicomfile", "loadstone-wado"),
            ("wadors", "loadstone-wado"),
            ("wadouri", "loadstone-wado"),
            ("web", "loadstone-web"),
            ("nifti", "loadstone-nifti"),
        ],
    )
    def test_says_what_to_install(self, scheme: str, package: str) -> None:
        """For a scheme of ours the error has the line that installs it."""
        with pytest.raises(UnknownSchemeError, match=f"pip install {package}"):
            empty().image_loader(scheme)
        with pytest.raises(UnknownSchemeError, match=f"pip install {package}"):
            empty().volume_loader(scheme)

    def test_says_that_only_the_other_kind_is_known(self, site: Site) -> None:
        """Asking for an image of a scheme with volumes only says so."""
        site.add(images=(), volumes=("acme",))

        with pytest.raises(UnknownSchemeError, match="only for the other kind"):
            site.registry().image_loader("acme")

    def test_points_from_core_schemes_to_suffixes(self) -> None:
        """http, https and file are never claimed."""
        with pytest.raises(UnknownSchemeError, match="to_id"):
            empty().image_loader("https")

    def test_a_fall_back_serves_what_nobody_claims(self, site: Site) -> None:
        """The loader for unknown schemes gets them, under their name, and the previous one is returned."""
        site.add()
        registry = site.registry()

        first = registry.register_unknown_image_loader(load)
        second = registry.register_unknown_image_loader(other_load)
        found = registry.image_loader("What.Ever")

        assert (first, second) == (None, load)
        assert (found.record.scheme, found.record.load) == ("what.ever", other_load)
        assert registry.image_loader("acme").info.distribution == "acme-loader"
        assert registry.register_unknown_image_loader(None) is other_load
        with pytest.raises(UnknownSchemeError):
            registry.image_loader("what.ever")

    def test_a_fall_back_for_volumes(self) -> None:
        """The same for volumes, apart from images."""
        registry = empty()

        assert registry.register_unknown_volume_loader(open_volumes) is None
        assert registry.volume_loader("any").record.open is open_volumes
        with pytest.raises(UnknownSchemeError):
            registry.image_loader("any")

    def test_a_broken_plugin_is_not_unknown(self, site: Site) -> None:
        """The fall-back never takes over from a plugin that is installed but broken: no fall-through."""
        site.add(source="1 / 0")
        registry = site.registry()
        registry.register_unknown_image_loader(load)

        with pytest.raises(PluginLoadError):
            registry.image_loader("acme")


class TestRunTime:
    def test_a_function_or_a_record(self) -> None:
        """Both can be registered; the scheme is the one that was given, in lower case."""
        registry = empty()
        registry.register_image_loader("myCustomLoader", load, batch_size=4, summary="mine")
        registry.register_image_loader("mem", ImageLoader("other", other_load))
        registry.register_volume_loader("mem", VolumeLoader("other", open_volumes))

        found = registry.image_loader("mycustomloader")

        assert (found.record.load, found.record.batch_size, found.record.summary) == (load, 4, "mine")
        assert found.info.plugin == "core.tests.plugins.builders:load"
        assert found.info.distribution == ""
        assert registry.image_loader("mem").record == ImageLoader("mem", other_load)
        assert registry.volume_loader("mem").record == VolumeLoader("mem", open_volumes)

    def test_a_callable_object_says_its_class(self) -> None:
        """A loader without a name of its own is called by its class."""

        class Loader:
            def __call__(self, image_id: ImageId, context: LoadContext) -> Image:
                return load(image_id, context)

        registry = empty()
        registry.register_image_loader("mem", Loader())

        assert registry.image_loader("mem").info.plugin.endswith("Loader")

    def test_replacing_stacks(self) -> None:
        """Each registration can be taken back on its own, in any order; what is left on top counts."""
        registry = empty()
        first = registry.register_image_loader("mem", load)
        second = registry.register_image_loader("mem", other_load, replace=True)
        third = registry.register_image_loader("mem", load, replace=True)

        second.unregister()
        second.unregister()
        third.unregister()
        left = registry.image_loader("mem").record.load
        first.unregister()

        assert left is load
        with pytest.raises(UnknownSchemeError):
            registry.image_loader("mem")

    def test_the_same_scheme_twice_needs_replace(self) -> None:
        """A second registration is an error unless it is meant to replace."""
        registry = empty()
        registry.register_image_loader("mem", load)

        with pytest.raises(LoadstoneError, match="'mem' is claimed by an earlier registration"):
            registry.register_image_loader("MEM", other_load)
        assert registry.image_loader("mem").record.load is load

    def test_unregister_by_scheme(self, site: Site) -> None:
        """The last registration is taken back; without one, or for a plugin, the error says what to do."""
        site.add()
        registry = site.registry()
        registry.register_image_loader("mem", load)
        registry.register_volume_loader("mem", open_volumes)
        registry.unregister_image_loader("MEM")
        registry.unregister_volume_loader("mem")

        for scheme in ("mem", "acme"):
            with pytest.raises(LoadstoneError, match="LOADSTONE_DISABLE_PLUGINS"):
                registry.unregister_image_loader(scheme)
        with pytest.raises(LoadstoneError):
            registry.unregister_volume_loader("mem")

    def test_unregister_all_leaves_plugins_and_the_other_kind(self, site: Site) -> None:
        """All run-time loaders of one kind go, the fall-back too."""
        site.add()
        registry = site.registry()
        for scheme in ("mem", "mem2"):
            registry.register_image_loader(scheme, load)
        registry.register_volume_loader("mem", open_volumes)
        registry.register_unknown_image_loader(load)
        registry.unregister_all_image_loaders()

        assert registry.image_schemes() == ("acme",)
        assert registry.volume_schemes() == ("mem",)
        with pytest.raises(UnknownSchemeError):
            registry.image_loader("mem")
        registry.unregister_all_volume_loaders()
        assert registry.volume_schemes() == ()

    @pytest.mark.parametrize("scheme", ["x", "1mem", "me m", "https", "", "mem:"])
    def test_a_malformed_scheme_is_refused(self, scheme: str) -> None:
        """The grammar holds for the program as it does for plugins."""
        with pytest.raises(PluginContractError, match="scheme"):
            empty().register_image_loader(scheme, load)

    def test_what_cannot_load_is_refused(self) -> None:
        """A loader that cannot be called, or a record for another API, is told at once."""
        with pytest.raises(PluginContractError, match="cannot be called"):
            empty().register_image_loader("mem", "load")  # type: ignore[arg-type]
        with pytest.raises(PluginContractError, match="API 2"):
            empty().register_volume_loader("mem", VolumeLoader("mem", open_volumes, api=2))


class TestLayers:
    def test_a_child_adds_without_touching_the_parent(self, site: Site) -> None:
        """A child sees the parent's loaders and plugins; what it registers stays with it."""
        site.add()
        parent = site.registry()
        parent.register_image_loader("low", load)
        child = parent.child().child()
        child.register_image_loader("high", load)

        assert child.image_schemes() == ("acme", "high", "low")
        assert parent.image_schemes() == ("acme", "low")
        assert child.image_loader("acme") is parent.image_loader("acme")
        assert child.image_loader("low") is parent.image_loader("low")
        with pytest.raises(UnknownSchemeError):
            parent.image_loader("high")

    def test_a_child_may_replace_for_itself(self) -> None:
        """Over the parent's loader it needs replace=True; taking it back uncovers the parent's."""
        parent = empty()
        parent.register_image_loader("mem", load)
        child = parent.child()
        with pytest.raises(LoadstoneError, match="replace=True"):
            child.register_image_loader("mem", other_load)
        with child.register_image_loader("mem", other_load, replace=True):
            inside = child.image_loader("mem").record.load, parent.image_loader("mem").record.load

        assert inside == (other_load, load)
        assert child.image_loader("mem").record.load is load

    def test_a_child_sees_what_changes_below(self, site: Site) -> None:
        """Registrations, removals and refreshes of the parent count at once for those on top."""
        parent = Registry(policy=PluginPolicy())
        child = parent.child()
        handle = parent.register_image_loader("mem", load)
        before = child.image_loader("mem").record.load
        handle.unregister()
        site.add()
        parent.refresh()

        assert before is load
        assert child.image_loader("acme").info.distribution == "acme-loader"
        with pytest.raises(UnknownSchemeError):
            child.image_loader("mem")

    def test_the_fall_back_of_the_parent_counts(self) -> None:
        """Without one of its own a child uses the parent's loader for unknown schemes."""
        parent = empty()
        child = parent.child()
        parent.register_unknown_image_loader(load)
        below = child.image_loader("any").record.load
        child.register_unknown_image_loader(other_load)

        assert (below, child.image_loader("any").record.load) == (load, other_load)

    def test_an_empty_index_isolates(self, site: Site) -> None:
        """A registry of its own sees nothing of what is installed."""
        site.add()

        assert empty().image_schemes() == ()


class TestRefresh:
    def test_finds_what_was_installed_and_loses_what_was_uninstalled(self, site: Site) -> None:
        """After pip install a scheme appears, after pip uninstall it goes; registrations stay."""
        registry = Registry(policy=PluginPolicy())
        registry.register_image_loader("mem", load)
        before = registry.image_schemes()
        site.add("acme-loader")
        unseen = registry.image_schemes()
        registry.refresh()
        seen = registry.image_loader("acme").info.distribution
        site.uninstall("acme-loader")
        registry.refresh()

        assert before == unseen == registry.image_schemes()
        assert seen == "acme-loader"
        assert registry.image_loader("mem").record.load is load
        with pytest.raises(UnknownSchemeError):
            registry.image_loader("acme")

    def test_finds_what_was_installed_within_one_tick_of_the_clock(self, site: Site) -> None:
        """Python remembers folders by the time of their last change; a refresh does not trust that."""
        site.add("one", images=("one",))
        registry = Registry(policy=PluginPolicy())
        before = site.folder.stat()
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("two")
        for name in ("one.py", "one-1.0.dist-info"):
            (site.folder / name).rename(site.folder / name.replace("one", "two"))
        metadata = site.folder / "two-1.0.dist-info"
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: two\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[loadstone.image_loaders]\none = two\n")
        os.utime(site.folder, ns=(before.st_atime_ns, before.st_mtime_ns))
        registry.refresh()

        assert registry.image_loader("one").info.distribution == "two"

    def test_a_conflict_appears_and_goes(self, site: Site) -> None:
        """A second claimant makes a scheme that worked a conflict, never a silent change of reader."""
        registry = Registry(policy=PluginPolicy())
        site.add("acme-loader")
        registry.refresh()
        registry.image_loader("acme")
        site.add("rival-loader")
        registry.refresh()
        with pytest.raises(SchemeConflictError):
            registry.image_loader("acme")
        site.uninstall("acme-loader")
        registry.refresh()

        assert registry.image_loader("acme").info.distribution == "rival-loader"
