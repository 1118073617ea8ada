//! `callwright e2e`.

use anyhow::Context as _;
use callwright_e2e::{BuiltIn, Customers, E2eError, Fault, FaultError, Plan, Scenario};
use callwright_events::ExitCode;

use crate::arguments;
use crate::signals;

use super::{Wrong, write};

/// Runs the call center end to end, and judges it.
pub(super) fn e2e(arguments: &arguments::E2e) -> anyhow::Result<ExitCode> {
    let plan = plan(arguments)?;
    let mut handled = Ok(());
    let mut broken = Ok(());
    let finished = callwright_e2e::e2e(
        &plan,
        |interrupt| {
            handled = signals::handle(
                move || {
                    anstream::eprintln!("ending: everything is hung up and stopped; once more ends at once");
                    interrupt.raise();
                },
                || {},
            );
        },
        &mut |line| {
            if broken.is_ok() {
                broken = write::line(&format!("{line}\n"));
            }
        },
    );
    handled.context("cannot handle signals")?;
    let finished = finished.map_err(|error| {
        let exit_code = match error {
            E2eError::Fault(_) => ExitCode::Usage,
            // Nothing is proved: something that the run needs is missing, or in the way.
            E2eError::Server(_)
            | E2eError::World(_)
            | E2eError::Sipp(_)
            | E2eError::Capture(_)
            | E2eError::Failed => ExitCode::Invalid,
            E2eError::Folder { .. } | E2eError::Report(_) => ExitCode::Failed,
        };
        Wrong {
            message: error.to_string(),
            exit_code,
        }
    })?;
    broken?;
    write::line(&format!("\n{}", finished.results.text()))?;
    let shown = finished.folder.display();
    write::line(&format!(
        "report: {shown}/report.html   capture: {shown}/pcaps/test_capture.pcapng\n"
    ))?;
    Ok(finished.results.verdict.exit_code())
}

fn plan(arguments: &arguments::E2e) -> anyhow::Result<Plan> {
    let sipp = arguments.customers == arguments::Customers::Sipp || arguments.sipp_scenario.is_some();
    let scenario = arguments.sipp_scenario.as_deref().map(Scenario::of);
    let faults = arguments.fault.iter().map(|text| text.parse());
    Ok(Plan {
        agents: arguments.agents.into(),
        calls: arguments.calls,
        rate: arguments.rate,
        call_duration: arguments.call_duration,
        customers: if sipp {
            Customers::Sipp(scenario.unwrap_or(Scenario::BuiltIn(BuiltIn::Queue)))
        } else {
            Customers::Embedded
        },
        port: arguments.port,
        out: arguments.out.clone(),
        keep: arguments.keep,
        faults: faults
            .collect::<Result<Vec<Fault>, FaultError>>()
            .context("--fault")?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
