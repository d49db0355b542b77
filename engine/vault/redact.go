package vault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MinScanned is the length in bytes from which a value is looked for in what was written; shorter ones stand by chance.
const MinScanned = 4

// ErrRemains says that a secret's value would stand in a redacted copy: there must be none of the file.
var ErrRemains = errors.New("a secret remains in it")

// Redact returns a copy of a file, in which MAIA-VAULT:<name> stands for each of the secrets, found in it by Find, that are
// no identifiers. All else is as it was; a property list is encoded anew, in its form, without its comments. Before it
// returns, the copy is read again: ErrRemains if it holds the value of a secret.
func Redact(kind Kind, b []byte, secrets []Secret) ([]byte, error) {
	if !kind.Redactable() {
		return nil, fmt.Errorf("redact %v: the kind is kept as a whole", kind)
	}
	r := newRedaction(secrets)
	var out []byte
	var err error
	if kind == Plist {
		out, err = r.plist(b)
	} else {
		out, err = r.text(kind, b)
	}
	if err != nil {
		return nil, fmt.Errorf("redact %v: %w", kind, err)
	}
	if err := r.check(kind, out); err != nil {
		return nil, fmt.Errorf("redact %v: %w", kind, err)
	}
	return out, nil
}

// redaction is what is put in the place of which values.
type redaction struct {
	names map[string]string // by value
	any   *strings.Replacer // of values where they stand as they are
}

func newRedaction(secrets []Secret) *redaction {
	r := &redaction{names: map[string]string{}}
	for _, s := range secrets {
		if v := string(s.Value); !s.Identifier && v != "" && r.names[v] == "" {
			r.names[v] = Placeholder + s.Name
		}
	}
	var pairs []string
	for _, v := range r.long() {
		pairs = append(pairs, v, r.names[v])
	}
	r.any = strings.NewReplacer(pairs...)
	return r
}

// long returns the values that are looked for everywhere, the longest first.
func (r *redaction) long() (values []string) {
	for v := range r.names {
		if len(v) >= MinScanned {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return values
}

func (r *redaction) text(kind Kind, b []byte) ([]byte, error) {
	hits, err := find(kind, b)
	if err != nil {
		return nil, err
	}
	return []byte(r.spans(string(b), hits)), nil
}

// spans replaces hits at their places, and values wherever else they stand.
func (r *redaction) spans(text string, hits []hit) string {
	var out strings.Builder
	at := 0
	for _, h := range hits {
		name := r.names[h.value]
		if name == "" || h.identifier || h.start < at {
			continue
		}
		out.WriteString(r.any.Replace(text[at:h.start]))
		out.WriteString(h.wrap + name + h.wrap)
		at = h.end
	}
	out.WriteString(r.any.Replace(text[at:]))
	return out.String()
}

// check looks for the values in a redacted copy, as they are and as what a program reads.
func (r *redaction) check(kind Kind, out []byte) error {
	if text := string(out); r.any.Replace(text) != text {
		return ErrRemains
	}
	hits, err := find(kind, out)
	if err != nil {
		return err
	}
	for _, h := range hits {
		if !h.identifier && r.names[h.value] != "" {
			return ErrRemains
		}
	}
	return nil
}
