package engine

import (
	"maia-dr/engine/component"
)

// VersionChange is a version that a backup records and the one that is here; empty: it is not here, or not known.
type VersionChange struct {
	Name string `json:"name"`
	Was  string `json:"was"`
	Now  string `json:"now,omitempty"`
}

// compareVersions says what of the machine is another one than it was. It asks tools, so it does so only where a whole
// Maia came back to the user's own home.
func (r *restore) compareVersions() {
	if r.rehearsal != nil || r.home == nil || r.home.root != realPath(r.e.env.Home) || len(r.opt.Only)+len(r.opt.Paths) > 0 {
		return
	}
	from := originOf(r.m)
	if len(from.Versions) == 0 {
		return
	}
	run := r.e.opt.Run
	if run == nil {
		run = component.NewRunner(r.e.env.Home, r.e.env.Getenv)
	}
	var pythons []string
	for _, pair := range ownPythons(from.Pythons, r.target.root) {
		pythons = append(pythons, pair[1])
	}
	for _, p := range from.Pythons {
		pythons = append(pythons, p.Path)
	}
	now := component.Versions(r.ctx, run, "", pythons)
	for _, v := range from.Versions {
		r.res.Versions = append(r.res.Versions, VersionChange{Name: v.Name, Was: v.Version, Now: now[v.Name]})
	}
}
