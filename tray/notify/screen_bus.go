//go:build !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Screen shows notifications through the desktop's notification service, over a connection of its own for each: the
// menu bar's must not see their signals. uid is the user's.
func Screen(getenv func(string) string, uid int) Channel {
	return func(ctx context.Context, m Message) error {
		address, err := SessionBus(getenv, uid)
		if err != nil {
			return err
		}
		conn, err := dbus.Connect(address, dbus.WithContext(ctx))
		if err != nil {
			return fmt.Errorf("show a notification: %w", errors.Join(ErrNoScreen, err))
		}
		defer func() { _ = conn.Close() }()
		call := conn.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").CallWithContext(ctx,
			"org.freedesktop.Notifications.Notify", 0, "Maia Recovery", uint32(0), "", m.Title, markup.Replace(m.body()), []string{},
			map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(1)), "desktop-entry": dbus.MakeVariant("maia-recovery")}, int32(-1))
		if call.Err != nil {
			return fmt.Errorf("show a notification: %w", call.Err)
		}
		return nil
	}
}

// markup escapes what notification services would take for a tag.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// SessionBus returns the address of the session's D-Bus, ErrNoScreen where there is none. It is looked for here because
// libraries start a bus of their own where they find none.
func SessionBus(getenv func(string) string, uid int) (string, error) {
	if a := getenv("DBUS_SESSION_BUS_ADDRESS"); a != "" {
		return a, nil
	}
	path := "/run/user/" + strconv.Itoa(uid) + "/bus"
	if fi, err := os.Stat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		return "unix:path=" + path, nil
	}
	return "", ErrNoScreen
}

// Hidden explains where the system hides notifications.
const Hidden = "If they do not appear, look at the notification settings of your desktop."
