"""What can go wrong. Every message says what was expected, what was found and what to do next."""


class Error(Exception):
    """Base of all errors of this package."""


class FileError(Error, OSError):
    """A file could not be read."""


class CheckpointError(Error, ValueError):
    """A checkpoint is damaged, incomplete or of an unknown kind."""


class InputError(Error, ValueError):
    """A picture or an array has a wrong shape, type, size or number."""


class OptionError(Error, ValueError):
    """An option has a value that cannot be used."""


class LimitError(Error):
    """The network does not fit the device."""


class NoAdapterError(Error):
    """No graphics adapter fits."""


class BusyError(Error):
    """As many jobs as can be are under way: take or drop an earlier one."""


class DeviceError(Error):
    """The device or its driver reported an error."""


class DeviceLostError(DeviceError):
    """The device is lost: make a new classifier."""


class OutOfMemoryError(DeviceError, MemoryError):
    """No memory is left on the device."""
