//go:build darwin && cgo

package keychain

import (
	"errors"

	applekeychain "github.com/keybase/go-keychain"
)

func system() backend { return macKeychain{loginKeychain{}} }

// loginKeychain is the user's default keychain. Neither accessibility nor access groups are set: there they do nothing.
type loginKeychain struct{}

func (loginKeychain) find(service, account string) ([][]byte, error) {
	query := key(service, account)
	query.SetMatchLimit(applekeychain.MatchLimitOne)
	query.SetReturnData(true)
	results, err := applekeychain.QueryItem(query)
	if err != nil {
		return nil, toStatus(err)
	}
	found := make([][]byte, len(results))
	for i, r := range results {
		found[i] = r.Data
	}
	return found, nil
}

func (loginKeychain) add(item Item, secret []byte) error {
	entry := key(item.Service, item.Account)
	entry.SetLabel(item.Label)
	entry.SetData(secret)
	return toStatus(applekeychain.AddItem(entry))
}

func (loginKeychain) update(item Item, secret []byte) error {
	change := applekeychain.NewItem()
	change.SetLabel(item.Label)
	change.SetData(secret)
	return toStatus(applekeychain.UpdateItem(key(item.Service, item.Account), change))
}

func (loginKeychain) remove(service, account string) error {
	return toStatus(applekeychain.DeleteItem(key(service, account)))
}

// key is all that a query holds: a label in it would be one more condition.
func key(service, account string) applekeychain.Item {
	item := applekeychain.NewItem()
	item.SetSecClass(applekeychain.SecClassGenericPassword)
	item.SetService(service)
	item.SetAccount(account)
	return item
}

func toStatus(err error) error {
	var code applekeychain.Error
	if errors.As(err, &code) {
		return status(code)
	}
	return err
}
