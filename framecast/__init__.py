"""framecast: predict video under control."""

__version__ = "0.1.0"
