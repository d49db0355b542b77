package component

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
)

// PackageList is what a Python had installed.
type PackageList struct {
	// List is one "name==version" a line, Freeze what pip freeze said; nil: it was not asked.
	List   []byte `json:"list"`
	Freeze []byte `json:"freeze"`
}

// PackageLists remembers lists by what lay in the folders of packages when they were made: pip takes half a second to say
// the same again. Safe for concurrent use. The zero value knows none.
type PackageLists struct {
	mu    sync.Mutex
	known map[string]PackageList
	used  map[string]PackageList
}

// NewPackageLists returns lists that are known from an earlier backup's Used.
func NewPackageLists(known map[string]PackageList) *PackageLists { return &PackageLists{known: known} }

// Used returns the lists that were asked for: those that were known, and the new ones.
func (p *PackageLists) Used() map[string]PackageList {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

func (p *PackageLists) get(key string) (PackageList, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.known[key]
	return l, ok && key != ""
}

func (p *PackageLists) put(key string, l PackageList) {
	if key == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == nil {
		p.used = map[string]PackageList{}
	}
	p.used[key] = l
}

// packages lists what is installed for an interpreter.
func (c *depCapture) packages(ctx context.Context, in *Interpreter, freeze bool) {
	defer func() {
		in.Packages = countPackages(in.list)
		in.Added = in.Packages
		for line := range bytes.Lines(in.list) {
			if name, _, ok := bytes.Cut(line, []byte("==")); ok && slices.Contains([]string{"pip", "setuptools", "wheel"}, string(name)) {
				in.Added--
			}
		}
	}()
	l, ok := c.lists.get(in.installed)
	if !ok || freeze && in.Pip != ToolAbsent && l.Freeze == nil {
		if l, ok = c.askForPackages(ctx, in, freeze); ok {
			c.lists.put(in.installed, l)
		}
	} else {
		c.lists.put(in.installed, l)
	}
	in.list = l.List
	if freeze {
		in.freeze = l.Freeze
	}
}

// askForPackages has a Python list its packages. ok is false if not all of it could be had.
func (c *depCapture) askForPackages(ctx context.Context, in *Interpreter, freeze bool) (l PackageList, ok bool) {
	if in.Pip == ToolAbsent {
		out, err := c.tools.run(ctx, in.Path, "-c", listing)
		if err != nil {
			return l, false
		}
		return PackageList{List: RedactURLs(lines(out))}, true
	}
	out, err := c.tools.run(ctx, in.Path, "-m", "pip", "list", "--format=freeze")
	if err == nil {
		l.List = RedactURLs(lines(out))
	}
	if freeze && err == nil {
		if out, err = c.tools.run(ctx, in.Path, "-m", "pip", "freeze"); err == nil {
			l.Freeze = RedactURLs(lines(out))
		}
	}
	if err != nil && ctx.Err() == nil {
		in.Pip = ToolFailed
		c.warn("pip of %s does not list its packages: %v", in.Path, err)
	}
	return l, err == nil
}

// installedKey stands for what a Python said lies in its folders of packages; empty: nothing was said, or the lists depend
// on more than that.
func installedKey(id *identity) string {
	if len(id.Installed) == 0 {
		return ""
	}
	// It is an answer that was just decoded.
	b, _ := json.Marshal(id)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
