package keychain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// item is not the real one: a mistake of a test must not reach the developer's own.
var item = Item{Service: "test.maia.keychain", Account: "vault", Label: "Maia test"}

// password is looked for wherever it must not be.
const password = "Tr0ub4dor-und-3"

// secrets are what a store may be given. Those that the security tool refuses come last.
var secrets = map[string][]byte{
	"plain":           []byte(password),
	"one byte":        []byte("x"),
	"spaces":          []byte("  two  words "),
	"hex digits":      []byte("68c3a9"),
	"like hex output": []byte(`0x68C3A9  "h"`),
	"quotes":          []byte(`"a" 'b' $c %d`),
	"like a line":     []byte(`password: "x"`),
	"backslash":       []byte(`a\b\303`),
	"non-ASCII":       []byte("pässwörd-日本"),
	"invalid UTF-8":   {0xff, 0xfe, 'a', 0x80},
	"128 bytes":       bytes.Repeat([]byte("k"), 128),
	"1024 bytes":      bytes.Repeat([]byte("0123456789abcdef"), 64),
	"newline":         []byte("two\nlines\n"),
	"zero bytes":      {0, 'a', 0, 0},
	"every byte":      everyByte(),
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// conform checks what every Store promises. takes says which secrets this one takes; the others it must refuse.
func conform(t *testing.T, store Store, takes func([]byte) bool) {
	t.Helper()
	ctx := t.Context()
	if _, err := store.Get(ctx, item); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get absent: %v", err)
	}
	if err := store.Delete(ctx, item); !errors.Is(err, ErrNotFound) {
		t.Fatalf("delete absent: %v", err)
	}
	other := Item{Service: item.Service, Account: "other", Label: item.Label}
	if err := store.Set(ctx, other, NewSecret([]byte("other"))); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for name, want := range secrets {
		if !takes(want) {
			if err := store.Set(ctx, item, NewSecret(want)); err == nil {
				t.Errorf("%s: accepted", name)
			}
			continue
		}
		if err := store.Set(ctx, item, NewSecret(want)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := store.Get(ctx, item)
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: read back %d bytes that differ, error %v", name, len(got.Bytes()), err)
		}
		taken++
	}
	if taken == 0 {
		t.Error("no secret was taken")
	}
	// A label is no part of the key.
	renamed := Item{Service: item.Service, Account: item.Account, Label: "another"}
	if err := store.Set(ctx, renamed, NewSecret([]byte("second"))); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Get(ctx, item); err != nil || string(got.Bytes()) != "second" {
		t.Errorf("get after a new label: %v", err)
	}
	if err := store.Set(ctx, item, Secret{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("set empty: %v", err)
	}
	if err := store.Set(ctx, item, NewSecret(nil)); !errors.Is(err, ErrEmpty) {
		t.Errorf("set nil: %v", err)
	}
	if got, err := store.Get(ctx, item); err != nil || string(got.Bytes()) != "second" {
		t.Errorf("get after an empty secret: %v", err)
	}
	if err := store.Delete(ctx, item); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := store.Get(ctx, item); !errors.Is(err, ErrNotFound) {
		t.Errorf("get deleted: %v", err)
	}
	if got, err := store.Get(ctx, other); err != nil || string(got.Bytes()) != "other" {
		t.Errorf("the other account: %v", err)
	}
	for _, bad := range []Item{{}, {Service: "s"}, {Account: "a"}, {Service: "s", Account: "a\x00b"}} {
		if err := store.Delete(ctx, bad); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("delete %+v: %v", bad, err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := store.Get(cancelled, other); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("get with a cancelled context: %v", err)
	}
}

func all([]byte) bool { return true }

func TestMemory(t *testing.T) {
	store := NewMemory()
	conform(t, store, all)
	store.SetFault(ErrLocked)
	if _, err := store.Get(t.Context(), item); !errors.Is(err, ErrLocked) {
		t.Errorf("get with a fault: %v", err)
	}
	if err := store.Set(t.Context(), item, NewSecret([]byte("x"))); !errors.Is(err, ErrLocked) {
		t.Errorf("set with a fault: %v", err)
	}
	if err := store.Delete(t.Context(), item); !errors.Is(err, ErrLocked) {
		t.Errorf("delete with a fault: %v", err)
	}
	store.SetFault(nil)
	if _, err := store.Get(t.Context(), item); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after a fault: %v", err)
	}
	store.SetDelay(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := store.Get(ctx, item); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get with a delay: %v", err)
	}
}

func TestSystemUnknownBackend(t *testing.T) {
	store := System(Options{Backend: "nonsense"})
	if _, err := store.Get(t.Context(), item); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
	if err := store.Set(t.Context(), item, NewSecret([]byte("x"))); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if err := store.Delete(t.Context(), item); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// A secret does not print, wherever it is and whatever prints it.
func TestSecretIsRedacted(t *testing.T) {
	s := NewSecret([]byte(password))
	type holder struct {
		Public  Secret
		private Secret
		pointer *Secret
	}
	h := holder{s, s, &s}
	var out strings.Builder
	for _, v := range []any{s, &s, h, &h, []Secret{s}, map[string]Secret{"k": s}, map[string]holder{"k": h}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%o", "%p", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(b)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("m", "secret", v)
		}
	}
	fmt.Fprintln(&out, fmt.Errorf("error: %v", s), s.String(), s.GoString())
	b, err := s.MarshalText()
	out.Write(b)
	if err != nil {
		t.Error(err)
	}
	text := strings.ToLower(out.String())
	for _, form := range []string{password, fmt.Sprintf("%x", password), fmt.Sprintf("%v", []byte(password))[1:20], "84, 114"} {
		if strings.Contains(text, strings.ToLower(form)) {
			t.Errorf("the secret is printed in the form of %q", form)
		}
	}
	if n := strings.Count(text, redacted); n < 50 {
		t.Errorf("%q is printed %d times only", redacted, n)
	}
}

func TestSecretIsACopy(t *testing.T) {
	b := []byte(password)
	s := NewSecret(b)
	clear(b)
	if string(s.Bytes()) != password {
		t.Error("the secret changed with its source")
	}
	if (Secret{}).Bytes() != nil {
		t.Error("the zero secret has bytes")
	}
}
