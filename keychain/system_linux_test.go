package keychain

import (
	"errors"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keybase/dbus"
	"github.com/keybase/go-keychain/secretservice"

	"maia-dr/packaging/ci/faults/matrix"
)

const keyringPassword = "of the keyring"

func TestSecretService(t *testing.T) {
	b := startBus(t)
	b.keyring(t, keyringPassword)
	store := System(Options{})
	conform(t, store, all)

	// Overwriting makes no second item, and another program finds and reads what was written.
	for _, secret := range []string{"first", password} {
		if err := store.Set(t.Context(), item, NewSecret([]byte(secret))); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("secret-tool", "search", "--all", "service", item.Service, "account", item.Account).Output()
	if err != nil || strings.Count(string(out), "secret = ") != 1 || !strings.Contains(string(out), "label = "+item.Label+"\n") ||
		!strings.Contains(string(out), "secret = "+password+"\n") {
		t.Errorf("secret-tool search: %v, %d items", err, strings.Count(string(out), "secret = "))
	}
	// And the other way round, with the attribute that it adds of its own.
	cmd := exec.Command("secret-tool", "store", "--label=x", "service", item.Service, "account", "tool")
	cmd.Stdin = strings.NewReader(password)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	theirs := Item{Service: item.Service, Account: "tool"}
	if got, err := store.Get(t.Context(), theirs); err != nil || string(got.Bytes()) != password {
		t.Errorf("read what secret-tool wrote: %v", err)
	}
	if err := store.Set(t.Context(), theirs, NewSecret([]byte("ours"))); err != nil {
		t.Errorf("overwrite what secret-tool wrote: %v", err)
	}
	if err := store.Delete(t.Context(), theirs); err != nil {
		t.Error(err)
	}
	if _, err := store.Get(t.Context(), theirs); !errors.Is(err, ErrNotFound) {
		t.Errorf("get deleted: %v", err)
	}
}

// An item that another program stored without a secret.
func TestSecretServiceEmpty(t *testing.T) {
	matrix.Count(t, 1, "29")
	b := startBus(t)
	b.keyring(t, keyringPassword)
	service, err := secretservice.NewService()
	if err != nil {
		t.Fatal(err)
	}
	session, err := service.OpenSession(secretservice.AuthenticationInsecurePlain)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := session.NewSecret([]byte{})
	if err != nil {
		t.Fatal(err)
	}
	properties := secretservice.NewSecretProperties("empty", attributes(item))
	if _, err := service.CreateItem(secretservice.DefaultCollection, properties, empty, secretservice.ReplaceBehaviorReplace); err != nil {
		t.Fatal(err)
	}
	if _, err := System(Options{}).Get(t.Context(), item); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

// fails makes all three calls and wants the error of each to be one of some.
func fails(t *testing.T, store Store, wants ...error) {
	t.Helper()
	_, err := store.Get(t.Context(), item)
	for _, tc := range []struct {
		verb string
		err  error
	}{
		{"get", err},
		{"set", store.Set(t.Context(), item, NewSecret([]byte("x")))},
		{"delete", store.Delete(t.Context(), item)},
	} {
		matched := false
		for _, want := range wants {
			matched = matched || errors.Is(tc.err, want)
		}
		if !matched {
			t.Errorf("%s: %v, want %v", tc.verb, tc.err, wants)
		}
	}
}

func TestSecretServiceNoDaemon(t *testing.T) {
	matrix.Count(t, 1, "29")
	startBus(t)
	fails(t, System(Options{}), ErrUnavailable)
}

// A desktop whose keyring was never made.
func TestSecretServiceNoCollection(t *testing.T) {
	b := startBus(t)
	b.keyring(t, "")
	fails(t, System(Options{}), ErrUnavailable)
}

// lockedKeyring starts a keyring that holds the item and is locked.
func lockedKeyring(t *testing.T) *bus {
	t.Helper()
	b := startBus(t)
	stop := b.keyring(t, keyringPassword)
	if err := System(Options{}).Set(t.Context(), item, NewSecret([]byte(password))); err != nil {
		t.Fatal(err)
	}
	stop()
	b.keyring(t, "")
	return b
}

// Without a program that could ask, gnome-keyring dismisses its prompt itself.
func TestSecretServiceDismissed(t *testing.T) {
	matrix.Count(t, 1, "29")
	lockedKeyring(t)
	fails(t, System(Options{}), ErrDenied)
}

// prompter stands in for the program that shows gnome-keyring's questions.
type prompter struct {
	conn   *dbus.Conn
	cancel bool // each question at once, as a person would; otherwise there is no answer
	asked  atomic.Int32
}

func startPrompter(t *testing.T, b *bus, cancel bool) *prompter {
	p := &prompter{conn: b.connect(t), cancel: cancel}
	b.own(t, p.conn, "org.gnome.keyring.SystemPrompter", p, "/org/gnome/keyring/Prompter", "org.gnome.keyring.internal.Prompter")
	return p
}

// BeginPrompting is answered by readiness for a question. gnome-keyring expects that after the call's return.
func (p *prompter) BeginPrompting(callback dbus.ObjectPath, sender dbus.Sender) *dbus.Error {
	time.AfterFunc(50*time.Millisecond, func() { p.ready(callback, sender, "") })
	return nil
}

func (p *prompter) PerformPrompt(callback dbus.ObjectPath, _ string, _ map[string]dbus.Variant, _ string, sender dbus.Sender) *dbus.Error {
	p.asked.Add(1)
	if p.cancel {
		time.AfterFunc(50*time.Millisecond, func() { p.ready(callback, sender, "no") })
	}
	return nil
}

func (p *prompter) StopPrompting(dbus.ObjectPath) *dbus.Error { return nil }

func (p *prompter) ready(callback dbus.ObjectPath, sender dbus.Sender, reply string) {
	p.conn.Object(string(sender), callback).Go("org.gnome.keyring.internal.Prompter.Callback.PromptReady", dbus.FlagNoReplyExpected, nil,
		reply, map[string]dbus.Variant{}, "")
}

func TestSecretServiceCancelled(t *testing.T) {
	b := lockedKeyring(t)
	p := startPrompter(t, b, true)
	fails(t, System(Options{}), ErrDenied)
	if n := p.asked.Load(); n != 3 {
		t.Errorf("asked %d times for 3 calls", n)
	}
}

// A question that nobody answers ends with the time limit, is not asked again, and does the keyring no harm.
func TestSecretServiceUnanswered(t *testing.T) {
	matrix.Count(t, 1, "29")
	b := lockedKeyring(t)
	p := startPrompter(t, b, false)
	fails(t, System(Options{TimeLimit: 500 * time.Millisecond}), ErrTimeout)
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times while one question was pending", n)
	}
	b.waitFor(t, "org.freedesktop.secrets")
}

// mute is a secret service that never answers.
type mute struct {
	release chan struct{}
	calls   atomic.Int32
}

func (m *mute) Unlock([]dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	m.calls.Add(1)
	<-m.release
	return nil, secretservice.NullPrompt, dbus.MakeFailedError(errors.New("too late"))
}

func TestSecretServiceMute(t *testing.T) {
	matrix.Count(t, 1, "29")
	b := startBus(t)
	m := &mute{release: make(chan struct{})}
	b.own(t, b.connect(t), secretservice.SecretServiceInterface, m, secretservice.SecretServiceObjectPath, "org.freedesktop.Secret.Service")
	store := System(Options{TimeLimit: 100 * time.Millisecond})
	fails(t, store, ErrTimeout)
	if n := m.calls.Load(); n != 1 {
		t.Errorf("asked %d times while one question was pending", n)
	}
	close(m.release)
}

// A service, and a bus, that end while a call is pending.
func TestSecretServiceEnds(t *testing.T) {
	b := startBus(t)
	m := &mute{release: make(chan struct{})}
	defer close(m.release)
	conn := b.connect(t)
	b.own(t, conn, secretservice.SecretServiceInterface, m, secretservice.SecretServiceObjectPath, "org.freedesktop.Secret.Service")
	store := System(Options{})
	pending := func(end func()) error {
		m.calls.Store(0)
		got := make(chan error, 1)
		go func() {
			_, err := store.Get(t.Context(), item)
			got <- err
		}()
		for m.calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		end()
		return <-got
	}
	if err := pending(func() { conn.Close() }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the service ended: %v", err)
	}
	b.own(t, b.connect(t), secretservice.SecretServiceInterface, m, secretservice.SecretServiceObjectPath, "org.freedesktop.Secret.Service")
	if err := pending(b.stop); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the bus ended: %v", err)
	}
	// A new bus is found again by the same store.
	next := startBus(t)
	next.keyring(t, keyringPassword)
	if err := store.Set(t.Context(), item, NewSecret([]byte(password))); err != nil {
		t.Errorf("set on a new bus: %v", err)
	}
}
