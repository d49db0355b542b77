//go:build darwin && !cgo

package tray

import (
	"context"
	"errors"
)

// Supported reports whether this build can show a menu.
const Supported = false

// Run returns an error: the menu bar of macOS needs a build with cgo.
func Run(context.Context, Options) error {
	return errors.New("show the menu: this program was built without cgo, which the menu bar of macOS needs; everything else works from the command line")
}
