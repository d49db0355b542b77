package tray

import (
	"context"
	"os/exec"

	"maia-dr/resources"
)

const opener = "/usr/bin/open"

// terminal opens a .command file, which Terminal runs: no other program has to be controlled, so macOS asks nothing.
func terminal(ctx context.Context, script string) error {
	return exec.CommandContext(ctx, opener, script).Run()
}

// HasTerminal reports whether there is a terminal to run commands in.
func HasTerminal() bool { return true }

// ready says whether there is a place for a menu.
func (o *Options) ready() error { return nil }

// form says which icons fit the menu bar.
func (o *Options) form() resources.IconForm { return resources.Template }

// label writes a text as the menu wants it.
func label(s string) string { return s }
