package graph

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Account is the account that is logged in.
type Account struct {
	// Name is how its owner calls it; Kind is personal or business.
	Name string `json:"name"`
	Kind string `json:"kind"`
	// LeftBytes is the room left; -1: not known.
	LeftBytes int64 `json:"left_bytes"`
}

// Account asks whose drive it is.
func (c *Client) Account(ctx context.Context) (Account, error) {
	var d struct {
		DriveType string
		Owner     struct{ User struct{ DisplayName string } }
		Quota     struct{ Remaining *int64 }
	}
	if err := c.get(ctx, c.opt.GraphURL+"/me/drive?$select=driveType,owner,quota", &d); err != nil {
		return Account{}, err
	}
	a := Account{Name: d.Owner.User.DisplayName, Kind: d.DriveType, LeftBytes: -1}
	if d.Quota.Remaining != nil {
		a.LeftBytes = *d.Quota.Remaining
	}
	return a, nil
}

// Drive is the repository's folder in the cloud.
type Drive struct {
	c *Client
	// root is the folder's path in the drive, with slashes.
	root string
}

// Open finds the repository at a path in the drive and makes sure that it is the one with this id: the same account.
// ErrNotVisible: it is not there, ErrWrongAccount: another one is.
func (c *Client) Open(ctx context.Context, path, repositoryID string) (*Drive, error) {
	d := &Drive{c, path}
	_, _, body, err := d.content(ctx, "repository.json", 1<<20)
	if err != nil {
		return nil, err
	}
	var marker struct {
		RepositoryID string `json:"repository_id"`
	}
	if err := json.Unmarshal(body, &marker); err != nil || marker.RepositoryID != repositoryID {
		return nil, ErrWrongAccount
	}
	return d, nil
}

// Item is a file in the cloud.
type Item struct {
	SizeBytes int64
	// QuickXor is in base64; empty: the drive gives none.
	QuickXor string
}

// maxPages is far more than a repository has: a server that goes on for ever is stopped.
const maxPages = 2000

// maxItems is more than OneDrive lets a drive have.
const maxItems = 1_000_000

// List returns the files of a folder of the repository; "" is the repository itself. A folder that is not visible has none.
func (d *Drive) List(ctx context.Context, folder string) (map[string]Item, error) {
	out := map[string]Item{}
	address := d.address(folder, "children") + "?$select=name,size,file&$top=200"
	for range maxPages {
		var page struct {
			Value []struct {
				Name string
				Size int64
				File *struct{ Hashes struct{ QuickXorHash string } }
			}
			Next string `json:"@odata.nextLink"`
		}
		err := d.c.get(ctx, address, &page)
		if errors.Is(err, ErrNotVisible) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for _, v := range page.Value {
			if v.File != nil {
				out[v.Name] = Item{v.Size, v.File.Hashes.QuickXorHash}
			}
		}
		if len(out) > maxItems {
			return nil, errors.New("read the answer of Microsoft Graph: it names more files than a drive has")
		}
		if page.Next == "" {
			return out, nil
		}
		// The token goes nowhere else.
		if !strings.HasPrefix(page.Next, d.c.opt.GraphURL+"/") {
			return nil, errors.New("read the answer of Microsoft Graph: its next page lies elsewhere")
		}
		address = page.Next
	}
	return nil, errors.New("read the answer of Microsoft Graph: its pages do not end")
}

// SHA256 downloads a file and returns its hash and length. limit is what it may have.
func (d *Drive) SHA256(ctx context.Context, name string, limit int64) (sum [32]byte, n int64, err error) {
	sum, n, _, err = d.content(ctx, name, limit)
	return sum, n, err
}

// maxKept is how much of a file's content is returned.
const maxKept = 1 << 20

// content downloads a file, at most limit bytes and one of it.
func (d *Drive) content(ctx context.Context, name string, limit int64) (sum [32]byte, n int64, kept []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, contentLimit)
	defer cancel()
	res, err := d.c.call(ctx, d.address(name, "content"))
	if err != nil {
		return sum, 0, nil, err
	}
	defer res.Body.Close()
	h := sha256.New()
	head := new(limitedBuffer)
	n, err = io.Copy(io.MultiWriter(h, head), io.LimitReader(res.Body, limit+1))
	if err != nil {
		return sum, n, nil, fmt.Errorf("download from Microsoft Graph: %w", withoutURL(err))
	}
	copy(sum[:], h.Sum(nil))
	return sum, n, head.b, nil
}

type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), maxKept-len(l.b))]...)
	return len(p), nil
}

// address is that of a file or folder below the repository, by its path in the drive.
func (d *Drive) address(name, what string) string {
	var parts []string
	for part := range strings.SplitSeq(d.root+"/"+name, "/") {
		if part != "" {
			parts = append(parts, url.PathEscape(part))
		}
	}
	return d.c.opt.GraphURL + "/me/drive/root:/" + strings.Join(parts, "/") + ":/" + what
}
