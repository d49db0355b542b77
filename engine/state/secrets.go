package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"maia-dr/engine/repository"
)

const secretsName = "secrets.json"

// Secrets is what the scan for secrets has to remember from run to run: names, places and file states, never a value
// or a hash of one.
type Secrets struct {
	RepositoryID string `json:"repository_id"`
	// Files are the states of the secret-bearing files whose values the whole newest backup has been scanned for. A
	// file that is not here as it is now may hold a value that old chunks hold too.
	Files map[string]string `json:"files"`
	// Moved are files that go into the vault because a captured value stood in them: paths under the Maia root, or
	// under home with "~/" before them.
	Moved []string `json:"moved,omitempty"`
	// InPlain are captured files in which a captured value stands in the plain: as long as there are any, every backup
	// is scanned as a whole.
	InPlain []string `json:"in_plain,omitempty"`
	// Likely are likely secrets in files that were captured in the plain, by path under the root.
	Likely map[string]LikelySecret `json:"likely,omitempty"`
	// Older are places in earlier backups where a captured value stands in the plain.
	Older []OlderSecret `json:"older,omitempty"`
}

// LikelySecret is what was found in the file with this content.
type LikelySecret struct {
	SHA256 repository.Hash `json:"sha256"`
	Names  []string        `json:"names"`
}

// OlderSecret is a captured value, by the names it has, in a chunk of earlier backups.
type OlderSecret struct {
	Chunk repository.Hash `json:"chunk"`
	Names []string        `json:"names"`
}

// LoadSecrets reads what was remembered for a repository; nothing where that is missing, damaged or another's: the
// scan then looks at everything once more.
func (d Dir) LoadSecrets(repositoryID string) (*Secrets, error) {
	empty := &Secrets{RepositoryID: repositoryID, Files: map[string]string{}, Likely: map[string]LikelySecret{}}
	b, err := os.ReadFile(filepath.Join(d.Path, secretsName))
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", secretsName, err)
	}
	s := new(Secrets)
	if json.Unmarshal(b, s) != nil || s.RepositoryID != repositoryID || s.Files == nil {
		return empty, nil //nolint:nilerr // a memory that cannot be read is none
	}
	if s.Likely == nil {
		s.Likely = map[string]LikelySecret{}
	}
	return s, nil
}

// SaveSecrets writes it durably.
func (d Dir) SaveSecrets(s *Secrets) error { return d.writeJSON(secretsName, true, s) }
