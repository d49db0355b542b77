package engine

import (
	"cmp"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
)

// AgentState is what became of an agent.
type AgentState string

// The states.
const (
	AgentLoaded         AgentState = "loaded"
	AgentFailed         AgentState = "failed"          // launchd refused it, or its file says too little
	AgentProgramMissing AgentState = "program_missing" // not loaded: there is nothing to run
	AgentNotLoaded      AgentState = "not_loaded"      // for another reason, which is given
)

// AgentResult says of an agent that was restored into a home whether it runs from now on.
type AgentResult struct {
	// File is its property list, Label what launchd calls it.
	File   string     `json:"file"`
	Label  string     `json:"label,omitempty"`
	State  AgentState `json:"state"`
	Reason string     `json:"reason,omitempty"`
}

// activates returns why agents are not loaded; empty: they are.
func (r *restore) activates() string {
	switch {
	case r.home == nil:
		return "they are laid beside"
	case r.home.root != realPath(r.e.env.Home):
		return "that home is not your own"
	case r.e.opt.LoadAgent == nil:
		return "agents are loaded on macOS only"
	}
	return ""
}

// activate loads the agents: last of all, when everything they run lies in its place.
func (r *restore) activate() error {
	if r.home == nil {
		return nil
	}
	var agents []*placement
	for _, p := range r.places {
		if p.area == r.home && p.file.Component == component.LaunchAgents && p.file.HasContent() && p.body != nil {
			agents = append(agents, p)
		}
	}
	slices.SortFunc(agents, func(a, b *placement) int { return cmp.Compare(a.rel, b.rel) })
	r.e.phase(event.Activate, int64(len(agents)))
	labels := map[string]bool{}
	for i, p := range agents {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.res.Agents = append(r.res.Agents, r.activateOne(p, labels))
		r.e.progress(event.Activate, int64(i+1), int64(len(agents)))
	}
	return nil
}

// activateWaiting loads the agents whose program was missing and came with the packages.
func (r *restore) activateWaiting() {
	loaded := map[string]bool{}
	for _, a := range r.res.Agents {
		if a.State == AgentLoaded {
			loaded[a.Label] = true
		}
	}
	for i, a := range r.res.Agents {
		if a.State != AgentProgramMissing {
			continue
		}
		for _, p := range r.places {
			if p.dest == a.File && p.area == r.home {
				r.res.Agents[i] = r.activateOne(p, loaded)
			}
		}
	}
}

// activateOne loads an agent if it can run. labels are those that were loaded.
func (r *restore) activateOne(p *placement, labels map[string]bool) AgentResult {
	res := AgentResult{File: p.dest, State: AgentNotLoaded}
	// An agent that was changed while the restore ran is not the one that was confirmed.
	if equal, _, err := r.compareOne(p); err != nil || !equal {
		res.Reason = "it is not the file of the backup"
		return res
	}
	a, err := component.ReadAgent(string(p.file.Path), p.body)
	if err != nil {
		res.State, res.Reason = AgentFailed, "it is no property list"
		return res
	}
	res.Label = a.Label
	if a.Label == "" || strings.ContainsAny(a.Label, "/\n\x00") {
		res.State, res.Reason = AgentFailed, "it has no label that launchd takes"
		return res
	}
	if res.Reason = r.activates(); res.Reason != "" {
		return res
	}
	if program, ok := a.ProgramPath(); !ok {
		res.State, res.Reason = AgentProgramMissing, cmp.Or(program, "it names no program")
		return res
	}
	switch {
	case a.Disabled:
		res.Reason = "its file says that it is disabled"
	case p.asItWas:
		res.Reason = "its paths could not be changed to those of this machine"
	case labels[a.Label]:
		res.Reason = "another file has the same label"
	}
	if res.Reason != "" {
		return res
	}
	if err := r.e.opt.LoadAgent(r.ctx, a.Label, p.dest); err != nil {
		res.State, res.Reason = AgentFailed, err.Error()
		return res
	}
	labels[a.Label] = true
	res.State = AgentLoaded
	return res
}
