package keychain

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// fakeLogin is a login keychain that behaves as go-keychain does.
type fakeLogin struct {
	secrets map[string][]byte
	labels  map[string]string
	fault   error
	updates int
}

func (f *fakeLogin) find(service, account string) ([][]byte, error) {
	if f.fault != nil {
		return nil, f.fault
	}
	secret, ok := f.secrets[service+"/"+account]
	if !ok {
		return nil, nil // not found is no error
	}
	return [][]byte{secret}, nil
}

func (f *fakeLogin) add(item Item, secret []byte) error {
	if f.fault != nil {
		return f.fault
	}
	if _, ok := f.secrets[item.Service+"/"+item.Account]; ok {
		return statusDuplicateItem
	}
	f.secrets[item.Service+"/"+item.Account] = secret
	f.labels[item.Service+"/"+item.Account] = item.Label
	return nil
}

func (f *fakeLogin) update(item Item, secret []byte) error {
	if _, ok := f.secrets[item.Service+"/"+item.Account]; !ok {
		return statusItemNotFound
	}
	f.updates++
	f.secrets[item.Service+"/"+item.Account] = secret
	f.labels[item.Service+"/"+item.Account] = item.Label
	return nil
}

func (f *fakeLogin) remove(service, account string) error {
	if f.fault != nil {
		return f.fault
	}
	if _, ok := f.secrets[service+"/"+account]; !ok {
		return statusItemNotFound
	}
	delete(f.secrets, service+"/"+account)
	return nil
}

func newFakeLogin() *fakeLogin {
	return &fakeLogin{secrets: make(map[string][]byte), labels: make(map[string]string)}
}

func TestMacKeychain(t *testing.T) {
	fake := newFakeLogin()
	store := newGuard(macKeychain{fake}, time.Minute)
	conform(t, store, all)
	if fake.updates == 0 {
		t.Error("nothing was updated")
	}
	if err := store.Set(t.Context(), item, NewSecret([]byte(password))); err != nil {
		t.Fatal(err)
	}
	if got := fake.labels[item.Service+"/"+item.Account]; got != item.Label {
		t.Errorf("label %q", got)
	}
	fake.secrets[item.Service+"/"+item.Account] = nil
	if _, err := store.Get(t.Context(), item); !errors.Is(err, ErrEmpty) {
		t.Errorf("get an empty one: %v", err)
	}
}

func TestMacKeychainStatus(t *testing.T) {
	for code, want := range map[status]error{
		-25300: ErrNotFound, -25308: ErrLocked, -25315: ErrLocked, -128: ErrDenied, -25293: ErrDenied, -25291: ErrUnavailable,
		-25294: ErrUnavailable, -25295: ErrUnavailable, -25307: ErrUnavailable, -50: nil, -25299: nil,
	} {
		fake := newFakeLogin()
		fake.fault = fmt.Errorf("wrapped: %w", code)
		store := newGuard(macKeychain{fake}, time.Minute)
		_, getErr := store.Get(t.Context(), item)
		for verb, err := range map[string]error{"get": getErr, "delete": store.Delete(t.Context(), item)} {
			if !errors.Is(err, code) {
				t.Errorf("%s: %d becomes %v", verb, code, err)
			}
			for _, sentinel := range []error{ErrNotFound, ErrLocked, ErrDenied, ErrTimeout, ErrUnavailable, ErrEmpty} {
				if errors.Is(err, sentinel) != (errors.Is(sentinel, want)) {
					t.Errorf("%s: %d matches %v: %v", verb, code, sentinel, err)
				}
			}
		}
	}
	// The exit codes of the security tool must tell the statuses apart.
	seen := make(map[byte]status)
	for code := range meanings {
		if other, ok := seen[byte(code)]; ok {
			t.Errorf("%d and %d end the security tool alike", code, other)
		}
		seen[byte(code)] = code
	}
	for exit, want := range map[byte]status{44: statusItemNotFound, 36: statusInteractionNotAllowed, 51: statusAuthFailed} {
		if seen[exit] != want {
			t.Errorf("exit %d is %d, want %d", exit, seen[exit], want)
		}
	}
}
