// Which processors a process may use. Knows nothing of the machine that runs the test but that it has a processor.
using Kidogo.Evaluation.Machine;

namespace Kidogo.Tests.Evaluation;

public sealed class MachineInfoTests
{
    [Theory]
    [InlineData("Cpus_allowed_list:\t0-1", 0, true)]
    [InlineData("Cpus_allowed_list:\t0-1", 2, false)]
    [InlineData("Cpus_allowed_list:\t3,8-11,20", 3, true)]
    [InlineData("Cpus_allowed_list:\t3,8-11,20", 10, true)]
    [InlineData("Cpus_allowed_list:\t3,8-11,20", 12, false)]
    [InlineData("Cpus_allowed:\tff", 12, true)] // another field: nothing is known, so all count
    public void AllowedProcessors_Line_IsRead(string line, int processor, bool isAllowed) =>
        Assert.Equal(isAllowed, MachineInfo.AllowedProcessors(["Name:\tkidogo", line])(processor));

    [Fact]
    public void CountPhysicalCores_ThisMachine_IsBetweenOneAndItsProcessors() => Assert.InRange(MachineInfo.CountPhysicalCores(), 1, Environment.ProcessorCount);
}
