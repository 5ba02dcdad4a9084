//! Leasehold at work, in a temporary folder, by the commands an operator would type.
//!
//! Nothing here is staged: the cell is this very program as a child process, every step is a command
//! line run against its socket, and every claim is checked before it is printed. A step that does
//! not come out as it should ends the demo with an error.

mod acts;
mod stage;

use anyhow::Result;
use stage::Stage;
use std::time::Instant;

/// Plays the demo from beginning to end.
///
/// # Errors
/// Anything that does not come out as it should.
pub async fn run() -> Result<()> {
    let began = Instant::now();
    let mut stage = Stage::set()?;
    stage.start_cell().await?;
    acts::accounts(&stage).await?;
    let gang = acts::gang_in_one_domain(&stage).await?;
    acts::single_gpus(&stage).await?;
    acts::one_that_waits(&stage).await?;
    acts::an_impossible_one(&stage).await?;
    acts::a_retry(&stage).await?;
    acts::a_failing_gpu(&stage, gang).await?;
    acts::killed_in_the_middle(&mut stage).await?;
    acts::a_flipped_byte(&stage).await?;
    stage.headline("What stands at the end");
    stage.ctl(&["leases", "ls"]).await?.expect(0)?;
    stage.ctl(&["nodes", "ls"]).await?.expect(0)?;
    stage.stop_cell().await?;
    println!(
        "\ndone in {:.1} s; the temporary folder is gone",
        began.elapsed().as_secs_f32()
    );
    Ok(())
}
