package fsx

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ignoreUnsyncable drops the errors of file systems on which a directory cannot be synced at all.
func ignoreUnsyncable(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
