"""The demo: real images through every scheme, one table, one contact sheet; loopback only."""

from loadstone_wado.demo.run import run_demo

__all__ = ["run_demo"]
