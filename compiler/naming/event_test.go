package naming

import (
	"testing"
)

func TestEventNamesThatBreakTheAdvice(t *testing.T) {
	for name, better := range map[string]string{
		"order_completed":         "Order Completed", // a semantic event
		"report_exported":         "Report Exported",
		"reportExported":          "Report Exported",
		"ReportExported":          "Report Exported",
		"report-exported":         "Report Exported",
		"report.exported":         "Report Exported",
		"report exported":         "Report Exported",
		"Report exported":         "Report Exported",
		"REPORT EXPORTED":         "Report Exported",
		"REPORT_EXPORTED":         "Report Exported",
		"Api_key_created":         "API Key Created",
		"invoicePDFSent":          "Invoice PDF Sent",
		"added_to_cart":           "Added to Cart",
		"Logged in":               "Logged In",
		"signed up":               "Signed Up",
		"Complete Report":         "Report Completed",
		"Click Button":            "Button Clicked",
		"click_button":            "Button Clicked",
		"clickButton":             "Button Clicked",
		"Submit the Form":         "Form Submitted",
		"Sign Up":                 "Signed Up",
		"Log Out":                 "Logged Out",
		"Buy Plan":                "Plan Bought",
		"Invite Team Member":      "",
		"Add to Basket":           "",
		"Form Submit":             "Form Submitted",
		"Onboarding Complete":     "Onboarding Completed",
		"user_settings_page_open": "",
		"signup":                  "",
		"page_view":               "",
		"View Feed":               "Feed Viewed",
		"Notify Owner":            "Owner Notified",
		"evaluate_trial":          "Trial Evaluated",
		"Payment Fail":            "Payment Failed",
		"Order Cancel":            "Order Cancelled",
		"Trial Expire":            "Trial Expired",
		"Deny Request":            "Request Denied",
	} {
		problem, got := Event(name)
		if problem == "" || got != better {
			t.Errorf("%q: %q, better %q, want %q", name, problem, got, better)
		}
	}
}

func TestEventNamesThatMayBeFine(t *testing.T) {
	for _, name := range []string{
		"", "Order Completed", "Signed Up", "Report Exported", "Invoice Paid", "Email Sent", "Plan Bought", "Deal Won", "Seat Left", "Goal Hit",
		"Password Set", "Article Read", "Trial Begun", "Site Built", "Added to Cart", "Item Added to Cart", "Terms of Service Accepted",
		"API Key Created", "2FA Enabled", "v2 Upgraded", "iOS App Opened", "GitHub Connected", "GitHub", "Billing: Invoice Paid",
		"Opt-Out", "Check-In Completed", "Follow-up Sent", "Login", "Checkout", "Page View", "Video Play", "Trial Ending", "Trial Expiring Soon",
		"Import Error", "Search Result", "Upload Failure", "Export Started", "Order Refund", "Signup", "Experiment Viewed (EU)", "Invoice Overdue",
		"$pageview", "Réunion planifiée", "Auftrag erledigt für Kunden", "注文完了", "Password Reset", "Step 2 Completed", "Server Down", "Search Performed",
		"Update Installed", "API Key Read", "CSV Imported", "PDF Sent", "Acme.com Visited", "node.js Installed", "Get Started Clicked",
	} {
		if problem, better := Event(name); problem != "" {
			t.Errorf("%q: %s, better %q", name, problem, better)
		}
	}
}
