package keychain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/keybase/dbus"
	"github.com/keybase/go-keychain/secretservice"
)

func system() backend { return new(secretService) }

// secretService is the Secret Service of a Linux desktop: gnome-keyring, KWallet, KeePassXC. The password crosses the
// user's own bus as it is: the library's encryption loses one in 250, and whoever may read the bus may ask for the
// password, too.
//
// The library's calls have no time limit. The guard around it leaves them, and asks nothing new until they end.
type secretService struct {
	bus *secretservice.SecretService // nil until it is needed; the library cannot close one
}

// dbusWait is for the one call that the library limits by itself, with an error that is like no other.
const dbusWait = 24 * time.Hour

// noKeyring is what a desktop without a keyring, or one that was never logged into, lacks.
const noKeyring = "the desktop has no default keyring; make one in its password manager"

func (s *secretService) get(ctx context.Context, item Item) (secret []byte, err error) {
	err = s.do(func() error {
		found, err := s.find(ctx, item)
		if err != nil {
			return err
		}
		session, err := s.bus.OpenSession(secretservice.AuthenticationInsecurePlain)
		if err != nil {
			return err
		}
		defer s.bus.CloseSession(session)
		secret, err = s.bus.GetSecret(found[0], *session)
		return err
	})
	return secret, err
}

func (s *secretService) set(ctx context.Context, item Item, secret []byte) error {
	return s.do(func() error {
		if err := s.unlock(ctx); err != nil {
			return err
		}
		session, err := s.bus.OpenSession(secretservice.AuthenticationInsecurePlain)
		if err != nil {
			return err
		}
		defer s.bus.CloseSession(session)
		sealed, err := session.NewSecret(secret)
		if err != nil {
			return err
		}
		properties := secretservice.NewSecretProperties(item.Label, attributes(item))
		var created, prompt dbus.ObjectPath
		err = s.bus.Obj(secretservice.DefaultCollection).
			Call("org.freedesktop.Secret.Collection.CreateItem", 0, properties, sealed, true).
			Store(&created, &prompt)
		if isNoObject(err) {
			return fmt.Errorf("%w: %s", ErrUnavailable, noKeyring)
		}
		if err != nil {
			return err
		}
		return s.answer(ctx, prompt)
	})
}

// delete removes all that get could find: one that stays behind would be the password from then on.
func (s *secretService) delete(ctx context.Context, item Item) error {
	return s.do(func() error {
		found, err := s.find(ctx, item)
		if err != nil {
			return err
		}
		for _, path := range found {
			var prompt dbus.ObjectPath
			if err := s.bus.Obj(path).Call("org.freedesktop.Secret.Item.Delete", 0).Store(&prompt); err != nil {
				return err
			}
			if err := s.answer(ctx, prompt); err != nil {
				return err
			}
		}
		return nil
	})
}

func attributes(item Item) secretservice.Attributes {
	return secretservice.Attributes{"service": item.Service, "account": item.Account}
}

// find unlocks the default keyring and returns the items that match, at least one. First unlocking: not every service
// finds an item in a locked keyring, and "not found" would be a lie.
func (s *secretService) find(ctx context.Context, item Item) ([]dbus.ObjectPath, error) {
	if err := s.unlock(ctx); err != nil {
		return nil, err
	}
	found, err := s.bus.SearchCollection(secretservice.DefaultCollection, attributes(item))
	switch {
	case isNoObject(err):
		return nil, fmt.Errorf("%w: %s", ErrUnavailable, noKeyring)
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNotFound
	}
	return found, nil
}

func (s *secretService) unlock(ctx context.Context) error {
	var unlocked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err := s.bus.ServiceObj().
		Call("org.freedesktop.Secret.Service.Unlock", 0, []dbus.ObjectPath{secretservice.DefaultCollection}).
		Store(&unlocked, &prompt)
	if err != nil {
		return err
	}
	return s.answer(ctx, prompt)
}

// answer waits for the user's answer to a prompt. A prompt is never dismissed by us: gnome-keyring 42 does not survive
// the dismissal of a question that is on the screen, and with it go the secrets of all other programs.
func (s *secretService) answer(ctx context.Context, prompt dbus.ObjectPath) error {
	if prompt == secretservice.NullPrompt {
		return nil
	}
	_, err := s.bus.PromptAndWait(prompt)
	var dismissed secretservice.PromptDismissedError
	var refused dbus.Error
	switch {
	case err == nil:
		return ctx.Err() // whoever was told of a timeout wants nothing done any more
	case errors.As(err, &dismissed):
		return fmt.Errorf("unlock keyring: %w", ErrDenied)
	case errors.As(err, &refused) || isLost(err):
		return fmt.Errorf("unlock keyring: %w", err)
	}
	// The library waits half a minute and no more. The answer that still comes would be taken for that to the next
	// prompt, so this connection has had its last.
	s.bus = nil
	return fmt.Errorf("unlock keyring: %w", ErrTimeout)
}

// do connects if need be, makes calls, and gives their errors the meaning that they have here.
func (s *secretService) do(calls func() error) error {
	if s.bus == nil {
		if why := noBus(); why != "" {
			return fmt.Errorf("%w: %s", ErrUnavailable, why)
		}
		bus, err := secretservice.NewService()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		bus.SetSessionOpenTimeout(dbusWait)
		s.bus = bus
	}
	err := calls()
	if isLost(err) {
		s.bus = nil // the next call connects again
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var e dbus.Error
	if !errors.As(err, &e) {
		return err
	}
	if meaning, ok := busMeanings[e.Name]; ok {
		return fmt.Errorf("%w: %w", meaning, err)
	}
	return err
}

var busMeanings = map[string]error{
	"org.freedesktop.Secret.Error.IsLocked":            ErrLocked,
	"org.freedesktop.DBus.Error.AccessDenied":          ErrDenied,
	"org.freedesktop.DBus.Error.AuthFailed":            ErrDenied,
	"org.freedesktop.DBus.Error.Timeout":               ErrTimeout,
	"org.freedesktop.DBus.Error.TimedOut":              ErrTimeout,
	"org.freedesktop.DBus.Error.ServiceUnknown":        ErrUnavailable,
	"org.freedesktop.DBus.Error.NameHasNoOwner":        ErrUnavailable,
	"org.freedesktop.DBus.Error.NoReply":               ErrUnavailable, // the service ended before it answered
	"org.freedesktop.DBus.Error.Disconnected":          ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.ExecFailed":      ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.ForkFailed":      ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.ChildExited":     ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.ChildSignaled":   ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.ServiceNotFound": ErrUnavailable,
	"org.freedesktop.DBus.Error.Spawn.Failed":          ErrUnavailable,
}

// isLost says that the connection to the bus is gone.
func isLost(err error) bool {
	var read *net.OpError
	return errors.Is(err, dbus.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &read)
}

// isNoObject says that a call went to a keyring that is not there. gnome-keyring says it in D-Bus's words.
func isNoObject(err error) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Name {
	case "org.freedesktop.Secret.Error.NoSuchObject",
		"org.freedesktop.DBus.Error.UnknownObject",
		"org.freedesktop.DBus.Error.UnknownMethod":
		return true
	}
	return false
}
