//go:build !darwin && !linux

package notify

import "context"

// Screen shows no notifications on this system: every message is refused.
func Screen(func(string) string, int) Channel {
	return func(context.Context, Message) error { return ErrNoScreen }
}

// Hidden explains where the system hides notifications.
const Hidden = ""
