//go:build !darwin

package tray

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	"maia-dr/resources"
	"maia-dr/tray/notify"
)

const (
	opener   = "xdg-open"
	emulator = "x-terminal-emulator"
)

// terminal runs a script in the desktop's terminal, which outlives the menu.
func terminal(ctx context.Context, script string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), emulator, "-e", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// HasTerminal reports whether there is a terminal to run commands in.
func HasTerminal() bool {
	_, err := exec.LookPath(emulator)
	return err == nil
}

// busLimit is how long the session bus may take to answer.
const busLimit = 10 * time.Second

// ready says whether there is a place for a menu: without a session bus the library for it would fail in its own way,
// or start a bus that nobody listens to.
func (o *Options) ready() error {
	address, err := notify.SessionBus(o.Getenv, o.UID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), busLimit)
	defer cancel()
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return errors.Join(notify.ErrNoScreen, err)
	}
	return conn.Close()
}

// askLimit is how long the desktop may take to say whether it is dark.
const askLimit = time.Second

// form says which icons fit the panel. A desktop that does not say has most likely a dark one.
func (o *Options) form() resources.IconForm {
	address, err := notify.SessionBus(o.Getenv, o.UID)
	if err != nil {
		return resources.OnDark
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return resources.OnDark
	}
	defer func() { _ = conn.Close() }()
	var answer dbus.Variant
	err = conn.Object("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop").CallWithContext(ctx,
		"org.freedesktop.portal.Settings.Read", 0, "org.freedesktop.appearance", "color-scheme").Store(&answer)
	for inner, ok := answer.Value().(dbus.Variant); ok; inner, ok = answer.Value().(dbus.Variant) {
		answer = inner
	}
	const preferLight = 2
	if scheme, ok := answer.Value().(uint32); err == nil && ok && scheme == preferLight {
		return resources.OnLight
	}
	return resources.OnDark
}

// label writes a text as the menu wants it: an underscore marks the letter to press.
func label(s string) string { return strings.ReplaceAll(s, "_", "__") }
