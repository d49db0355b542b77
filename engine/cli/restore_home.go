package cli

import (
	"fmt"
	"maps"
	"slices"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/relocate"
)

// printRelocation shows each change of a path, by file: strings of an agent as old -> new, lines of a shell file as a
// diff.
func (a *app) printRelocation(p *engine.RestorePlan) {
	for _, f := range p.Relocated {
		a.say("  %s\n", clean(f.Path))
		switch {
		case f.Unchanged != "":
			a.say("    stays as it is: %s\n", f.Unchanged)
		case f.Component == component.LaunchAgents || f.Sealed:
			for _, c := range onlyOnce(f.Changes) {
				a.say("    %s -> %s\n", clean(c.Old), clean(c.New))
			}
		default:
			for _, line := range relocate.Diff(f.Changes) {
				a.say("    %s\n", clean(line))
			}
		}
		if f.Sealed {
			a.say("    (of a file with secrets only the paths are shown)\n")
		}
	}
	if len(p.Ambiguous) > 0 {
		a.say("  to be looked at by you:\n")
	}
	for _, line := range p.Ambiguous {
		a.say("    %s\n", clean(line))
	}
	if p.Activates {
		a.say("  the agents are loaded when everything is in place\n")
	}
}

// onlyOnce leaves out what was said of the file already: one path stands in many of its strings.
func onlyOnce(changes []relocate.Change) (out []relocate.Change) {
	for _, c := range changes {
		if !slices.ContainsFunc(out, func(o relocate.Change) bool { return o.Old == c.Old && o.New == c.New }) {
			out = append(out, c)
		}
	}
	return out
}

func agentsFailed(agents []engine.AgentResult) bool {
	return slices.ContainsFunc(agents, func(r engine.AgentResult) bool {
		return r.State == engine.AgentFailed || r.State == engine.AgentProgramMissing
	})
}

// printAgents says what became of each agent.
func (a *app) printAgents(agents []engine.AgentResult) {
	loaded := 0
	reasons := map[string][]string{}
	for _, r := range agents {
		switch r.State {
		case engine.AgentLoaded:
			loaded++
			a.say("agent loaded: %s\n", clean(r.Label))
		case engine.AgentFailed:
			fmt.Fprintf(a.Err, "agent not loaded: %s: %s\n", clean(r.File), clean(r.Reason))
		case engine.AgentProgramMissing:
			fmt.Fprintf(a.Err, "agent not loaded: %s: its program is missing: %s\n", clean(r.File), clean(r.Reason))
		default:
			reasons[r.Reason] = append(reasons[r.Reason], r.File)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		files := reasons[reason]
		if len(files) > 3 {
			a.say("%s not loaded: %s\n", count(len(files), "agent", "agents"), clean(reason))
			continue
		}
		for _, file := range files {
			a.say("agent not loaded: %s: %s\n", clean(file), clean(reason))
		}
	}
	if len(agents) > 0 {
		a.printf("Loaded %d of %s.\n", loaded, count(len(agents), "agent", "agents"))
	}
}

// byHand are the settings that macOS lets only a person change, each with what opens it.
var byHand = [][2]string{
	{"files everywhere", "x-apple.systempreferences:com.apple.preference.security?Privacy_AllFiles"},
	{"keys and windows", "x-apple.systempreferences:com.apple.preference.security?Privacy_Accessibility"},
	{"other programs", "x-apple.systempreferences:com.apple.preference.security?Privacy_Automation"},
	{"agents turned off", "x-apple.systempreferences:com.apple.LoginItems-Settings.extension"},
}

// printHealth says, after a whole restore into the user's own home, what is not as it was and what is left to a person.
func (a *app) printHealth(r *engine.RestoreResult) {
	if len(r.Versions) == 0 {
		return
	}
	a.say("Versions, as they were and as they are:\n")
	mac := false
	for _, v := range r.Versions {
		now := "now " + v.Now
		switch v.Now {
		case "":
			now = "not here"
		case v.Was:
			now = "the same"
		}
		mac = mac || v.Name == "macos" && v.Now != ""
		a.say("  %s %s: %s\n", clean(v.Name), clean(v.Was), clean(now))
	}
	if !mac {
		return
	}
	a.say("What macOS lets only you do, where your agents need it:\n")
	for _, x := range byHand {
		a.say("  %-18s open %q\n", x[0]+":", x[1])
	}
}
