package keychain

import (
	"context"
	"errors"
	"fmt"
)

// status is an OSStatus of Apple's Security framework. It matches the package's error that it stands for.
type status int32

// From Security/SecBase.h and MacErrors.h. The security tool ends with the lowest byte of one.
const (
	statusUserCanceled          status = -128
	statusNotAvailable          status = -25291
	statusAuthFailed            status = -25293
	statusNoSuchKeychain        status = -25294
	statusInvalidKeychain       status = -25295
	statusDuplicateItem         status = -25299
	statusItemNotFound          status = -25300
	statusNoDefaultKeychain     status = -25307
	statusInteractionNotAllowed status = -25308
	statusInteractionRequired   status = -25315
)

// meanings has nil for what is no error of this package.
var meanings = map[status]error{
	statusUserCanceled:          ErrDenied,
	statusNotAvailable:          ErrUnavailable,
	statusAuthFailed:            ErrDenied,
	statusNoSuchKeychain:        ErrUnavailable,
	statusInvalidKeychain:       ErrUnavailable,
	statusDuplicateItem:         nil,
	statusItemNotFound:          ErrNotFound,
	statusNoDefaultKeychain:     ErrUnavailable,
	statusInteractionNotAllowed: ErrLocked, // also with no desktop session to ask in: ssh, sudo
	statusInteractionRequired:   ErrLocked,
}

func (s status) Error() string {
	if meaning := meanings[s]; meaning != nil {
		return fmt.Sprintf("%v (OSStatus %d)", meaning, int32(s))
	}
	return fmt.Sprintf("OSStatus %d", int32(s))
}

func (s status) Unwrap() error { return meanings[s] }

// passwords are go-keychain's calls for generic passwords in the login keychain; their errors are a status.
type passwords interface {
	// find returns what matches service and account: nothing and no error if there is none.
	find(service, account string) ([][]byte, error)
	add(item Item, secret []byte) error
	update(item Item, secret []byte) error
	remove(service, account string) error
}

// macKeychain is the backend of macOS. A read blocks while macOS asks the user, and cannot be cancelled.
type macKeychain struct{ passwords passwords }

func (m macKeychain) get(_ context.Context, item Item) ([]byte, error) {
	found, err := m.passwords.find(item.Service, item.Account)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, ErrNotFound
	}
	return found[0], nil
}

// set adds first: to update what is not there is an error, and to ask what is there may be a question.
func (m macKeychain) set(_ context.Context, item Item, secret []byte) error {
	err := m.passwords.add(item, secret)
	if errors.Is(err, statusDuplicateItem) {
		err = m.passwords.update(item, secret)
	}
	return err
}

func (m macKeychain) delete(_ context.Context, item Item) error {
	return m.passwords.remove(item.Service, item.Account)
}
