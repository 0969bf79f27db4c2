package compiler

import (
	"strings"
	"testing"
)

func TestMixedUserIDs(t *testing.T) {
	event := `event: "Report Exported"`
	byEmail := func(s string) string {
		return strings.Replace(s, `"{{userId}}"`, `⟦mixed-user-ids⟧"{{userEmail}}"⟦⟧`, 1)
	}
	one(t, track("a", event)+byEmail(track("b", event)),
		"payload.userId is an email address here, and an id in growth/a; send one kind of id everywhere, best one that never changes: Segment treats these as two users")
	// Of equals, the id is right, in each call.
	one(t, byEmail(call("Identify", "a", `traits: plan: "team"`))+call("Group", "b", `groupId: "{{accountId}}"`))
	// What most automations send is right.
	address := func(s string) string { return strings.Replace(s, `"{{userId}}"`, `"{{userEmail}}"`, 1) }
	one(t, address(track("a", event))+address(track("b", event))+
		strings.Replace(track("c", event), `"{{userId}}"`, `⟦mixed-user-ids⟧"{{userId}}"⟦⟧`, 1))
	one(t, address(track("a", event))+address(track("b", event)))
	// An alias ties an address to an id, and no id is not another kind of id.
	one(t, track("a", event)+call("Alias", "b", `previousId: "{{userEmail}}"`))
	one(t, address(track("a", event))+strings.Replace(track("b", event), "userId:", "anonymousId:", 1))
}

func TestSameTable(t *testing.T) {
	one(t, track("a", `event: "Report Exported"`)+track("b", `event: ⟦same-table⟧"Report: Exported"⟦⟧`),
		`the event "Report: Exported" becomes the table report_exported in a warehouse, as "Report Exported" does in growth/a; write "Report Exported" if they are one event, else give it another name`)
	one(t, track("a", `event: ⟦same-table⟧"Report (Exported)"⟦⟧`)+track("b", `event: "Report Exported"`)+track("c", `event: "Report Exported"`))
	one(t, track("a", `event: "Report 12 Exported"`)+track("b", `event: "Report 1:2 Exported"`))
}

func TestDestinationSpelling(t *testing.T) {
	to := func(names string) string { return "event: \"Report Exported\"\n\t\tintegrations: {" + names + "}" }
	one(t, track("a", to(`Mixpanel: false`))+track("b", to(`⟦destination-spelling⟧Mixpannel⟦⟧: false`)),
		`the destination "Mixpannel" is called "Mixpanel" in growth/a; write "Mixpanel", if it is the same: Segment ignores names that it does not know`)
	one(t, track("a", to(`⟦destination-spelling⟧"google analytics"⟦⟧: false`))+
		call("Identify", "b", `integrations: "Google Analytics": false`)+track("c", to(`"Google Analytics": false`)))
	one(t, track("a", to(`⟦destination-spelling⟧Amplitud⟦⟧: {sessionId: 1}, All: false`))+track("b", to(`Amplitude: true, All: false`))+
		track("c", to(`Amplitude: true, All: false`)))
	// Other destinations, of one maker too.
	one(t, track("a", to(`"Google Analytics": false`))+track("b", to(`"Google Analytics 4": false`)))
	one(t, track("a", to(`Amplitude: false`))+track("b", to(`"Amplitude (Actions)": false`)))
	one(t, track("a", to(`Heap: false`))+track("b", to(`HubSpot: false`)))
}

func TestMixedCaseOfProperties(t *testing.T) {
	event := func(properties string) string { return "event: \"Report Exported\"\n\t\tproperties: " + properties }
	one(t, track("a", event(`plan_name: "team"`))+track("b", event(`⟦mixed-case⟧planName⟦⟧: "team"`)),
		"the property planName is spelled plan_name in growth/a; write plan_name everywhere: Segment treats these as two properties")
	one(t, track("a", event(`plan: "team"`))+track("b", event(`⟦mixed-case⟧Plan⟦⟧: "team"`)))
	one(t, track("a", event(`⟦mixed-case⟧"plan name"⟦⟧: "team"`))+track("b", event(`plan_name: "team"`))+track("c", event(`plan_name: "team"`)))
	one(t, track("a", event(`rows: [{row_count: 1}]`))+track("b", event(`rows: [{⟦mixed-case⟧rowCount⟦⟧: 1}]`)))
	one(t, call("Page", "a", `properties: plan_name: "team"`)+call("Page", "b", `properties: ⟦mixed-case⟧planName⟦⟧: "team"`))
	// Other events and calls have other tables.
	one(t, track("a", event(`plan_name: "team"`))+track("b", "event: \"Report Shared\"\n\t\tproperties: planName: \"team\""))
	one(t, call("Page", "a", `properties: plan_name: "team"`)+call("Screen", "b", `properties: planName: "team"`))
	one(t, call("Identify", "a", `traits: ⟦mixed-case⟧Plan⟦⟧: "team"`)+call("Identify", "b", `traits: plan: "team"`)+call("Identify", "c", `traits: plan: "team"`))
}
